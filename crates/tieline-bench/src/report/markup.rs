//! The elements of a page.
//!
//! Invariant: all text from flags and from servers goes through [`escape`].

use crate::url::redact;
use std::fmt::Write as _;

use super::labels;
use crate::outcome::Faults;

/// Name, figure and remark of a tile.
pub(super) type Tile = (String, String, String);

pub(super) fn lead(parts: &[String]) -> String {
    // Lines break between the parts only.
    let parts = join(parts, |part| {
        format!("<li>{}</li>", escape(part).replace(' ', "&nbsp;"))
    });
    format!("<ul class=\"lead\">{parts}</ul>\n")
}

pub(super) fn urls(urls: &[String]) -> String {
    let lines: Vec<_> = urls.iter().map(|url| escape(&redact(url))).collect();
    format!("<p class=\"urls\">{}</p>\n", lines.join("<br>"))
}

pub(super) fn tiles(tiles: &[Tile]) -> String {
    let mut text = String::from(match tiles.len() {
        3 | 6 => "<dl class=\"tiles rows\">\n",
        _ => "<dl class=\"tiles\">\n",
    });
    for (name, figure, remark) in tiles {
        let _ = writeln!(
            text,
            "<div><dt>{name}</dt><dd>{figure}<span>{remark}</span></dd></div>"
        );
    }
    text.push_str("</dl>\n");
    text
}

/// Appends a section, unless its body is empty.
pub(super) fn section(text: &mut String, title: &str, remark: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(
            text,
            "<section>\n<h2>{title} <small>{remark}</small></h2>\n{body}</section>\n"
        );
    }
}

pub(super) fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let class = if heads.is_empty() {
        " class=\"plain\""
    } else {
        ""
    };
    let mut text = format!("<div class=\"wide\"><table{class}>\n");
    if !heads.is_empty() {
        let heads = join(heads, |head| format!("<th>{head}</th>"));
        let _ = writeln!(text, "<thead><tr>{heads}</tr></thead>");
    }
    text.push_str("<tbody>\n");
    for row in rows {
        let cells = join(&row, |cell| format!("<td>{}</td>", escape(cell)));
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    text.push_str("</tbody>\n</table></div>\n");
    text
}

pub(super) fn faults(found: &Faults) -> String {
    if !found.any() {
        return "<p class=\"note\">No faults.</p>\n".into();
    }
    let words = labels::faults(found);
    let examples = join(&found.examples, |example| {
        format!("<li>{}</li>", escape(example))
    });
    format!(
        "<section class=\"faults\">\n<h2>Faults</h2>\n<p>{words}</p>\n<ul>{examples}</ul>\n</section>\n"
    )
}

pub(super) fn join<T>(parts: &[T], markup: impl Fn(&T) -> String) -> String {
    parts.iter().map(markup).collect::<Vec<_>>().concat()
}

/// Text with the special characters of HTML escaped.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

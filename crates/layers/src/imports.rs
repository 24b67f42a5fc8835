//! Which paths a file names, and where.
//!
//! Works on one file at a time and knows no other: what a path leads to is for [`crate::resolve`].

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, Macro, Meta, Path, UseTree, VisRestricted,
    visit::{self, Visit},
};

/// One module, in its own file or inline in another.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Items that are defined here.
    pub(crate) defined: BTreeSet<String>,
    pub(crate) uses: Vec<Use>,
    /// Paths in code, in the order of the file.
    pub(crate) paths: Vec<Named>,
    /// Modules declared here without a body.
    pub(crate) files: Vec<ModuleFile>,
    /// Modules declared here with their bodies.
    pub(crate) inline: Vec<(String, Scope)>,
}

/// A declaration `mod name;`.
#[derive(Debug)]
pub(crate) struct ModuleFile {
    pub(crate) name: String,
    /// `#[path = "…"]`.
    pub(crate) path: Option<String>,
}

/// A path and the line that it is on.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// One leaf of a `use`.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) path: Named,
    /// The name that it has here; none for a glob or `as _`.
    pub(crate) name: Option<String>,
    pub(crate) glob: bool,
}

/// Reads the items of a file or of an inline module.
pub(crate) fn scope(items: &[Item]) -> Scope {
    let mut collector = Collector::default();
    for item in items {
        collector.visit_item(item);
        if !is_test(attributes(item))
            && let Some(name) = defined_name(item)
        {
            collector.scope.defined.insert(name);
        }
    }
    collector.scope
}

#[derive(Default)]
struct Collector {
    scope: Scope,
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            return;
        }
        match item {
            Item::Mod(module) => {
                module.attrs.iter().for_each(|a| self.visit_attribute(a));
                let name = module.ident.to_string();
                match &module.content {
                    Some((_, items)) => self.scope.inline.push((name, scope(items))),
                    None => self.scope.files.push(ModuleFile {
                        name,
                        path: path_attribute(&module.attrs),
                    }),
                }
            }
            Item::Use(item) if item.leading_colon.is_none() => {
                leaves(&item.tree, &mut Vec::new(), &mut self.scope.uses);
            }
            Item::Use(_) => {}
            other => visit::visit_item(self, other),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !is_test(impl_attributes(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.scope.paths.push(Named {
                segments: path.segments.iter().map(|s| s.ident.to_string()).collect(),
                line: path.segments[0].ident.span().start().line,
            });
        }
        visit::visit_path(self, path);
    }

    /// `pub(in crate::a)` says who may see an item; it imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        paths_in(called.tokens.clone(), &mut self.scope.paths);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            paths_in(list.tokens.clone(), &mut self.scope.paths);
        }
    }
}

fn leaves(tree: &UseTree, prefix: &mut Vec<String>, into: &mut Vec<Use>) {
    let mut leaf = |last: Option<(String, usize)>, name: Option<String>, glob, line| {
        let mut segments = prefix.clone();
        match last {
            Some((segment, _)) if segment != "self" || segments.is_empty() => {
                segments.push(segment);
            }
            _ => {}
        }
        into.push(Use {
            path: Named { segments, line },
            name,
            glob,
        });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            leaves(&path.tree, prefix, into);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|t| leaves(t, prefix, into)),
        UseTree::Name(name) => {
            let line = name.ident.span().start().line;
            let own = match name.ident.to_string() {
                own if own == "self" => prefix.last().cloned().unwrap_or(own),
                own => own,
            };
            leaf(Some((name.ident.to_string(), line)), Some(own), false, line);
        }
        UseTree::Rename(rename) => {
            let line = rename.ident.span().start().line;
            let own = Some(rename.rename.to_string()).filter(|name| name != "_");
            leaf(Some((rename.ident.to_string(), line)), own, false, line);
        }
        UseTree::Glob(glob) => leaf(None, None, true, glob.star_token.spans[0].start().line),
    }
}

/// The paths among the tokens of a macro, which has no syntax tree: `a::b::c`, also behind a `$`.
fn paths_in(tokens: TokenStream, into: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => paths_in(group.stream(), into),
            TokenTree::Ident(first) if !follows_colons(&tokens, at) => {
                let mut segments = vec![first.to_string()];
                let line = first.span().start().line;
                while let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    && is_colon(tokens.get(at + 1))
                    && is_colon(tokens.get(at + 2))
                {
                    segments.push(next.to_string());
                    at += 3;
                }
                if segments.len() > 1 {
                    into.push(Named { segments, line });
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn follows_colons(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_colon(tokens.get(at - 1)) && is_colon(tokens.get(at - 2))
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// Whether an item is compiled for tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list
            .parse_args::<Meta>()
            .is_ok_and(|predicate| needs_test(&predicate)),
        _ => false,
    })
}

fn needs_test(predicate: &Meta) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            let parts = list
                .parse_args_with(
                    syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated,
                )
                .unwrap_or_default();
            if list.path.is_ident("all") {
                parts.iter().any(needs_test)
            } else if list.path.is_ident("any") {
                !parts.is_empty() && parts.iter().all(needs_test)
            } else {
                false
            }
        }
        Meta::NameValue(_) => false,
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn impl_attributes(item: &syn::ImplItem) -> &[Attribute] {
    match item {
        syn::ImplItem::Const(item) => &item.attrs,
        syn::ImplItem::Fn(item) => &item.attrs,
        syn::ImplItem::Type(item) => &item.attrs,
        _ => &[],
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

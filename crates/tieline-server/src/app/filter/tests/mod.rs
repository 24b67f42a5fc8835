use std::{sync::Arc, time::Duration};

use tieline::{Accept, Config, Dialects, Hub, Node, testing::TestRequest};

use super::{error::Mistake, *};

mod oracle;

/// Ada, in the groups `a` and `b.c`, with a subprotocol; and somebody without a user or anything else.
fn admits(text: &str) -> (bool, bool) {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let groups = ["a", "b.c"].map(Arc::from);
    let ada = Subject {
        user_id: Some("ada"),
        connection_id: "C-1",
        protocol: Some("json"),
        groups: &groups,
    };
    let nobody = Subject {
        user_id: None,
        connection_id: "c-2",
        protocol: None,
        groups: &[],
    };
    (filter.admits(&ada), filter.admits(&nobody))
}

#[test]
fn filters_mean_what_they_say() {
    for (text, ada, nobody) in [
        ("userId eq 'ada'", true, false),
        ("USERID Eq 'ada'", true, false),
        ("userId eq 'ADA'", false, false),
        ("userId ne 'ada'", false, true),
        ("userId eq null", false, true),
        ("null eq userId", false, true),
        ("userId ne null", true, false),
        ("connectionId eq 'C-1' or connectionid eq 'c-2'", true, true),
        ("protocol eq 'json'", true, false),
        ("userId gt 'abc' and userId lt 'ae'", true, false),
        ("userId ge 'ada' and userId le 'ada'", true, false),
        ("userId in ('eve', 'ada')", true, false),
        ("userId in ('eve', null)", false, true),
        ("'a' in groups", true, false),
        ("'A' in groups or 'b' in groups", false, false),
        ("concat('b', '.c') in groups", true, false),
        ("userId in groups", false, false),
        ("not 'a' in groups", false, true),
        ("not ('a' in groups)", false, true),
        ("length(groups) eq 2", true, false),
        ("length(userId) eq 3", true, false),
        ("length('é') eq 1 and length('it''s') eq 4", true, true),
        (
            "tolower('ÀB') eq 'àb' and toupper('àb') eq 'ÀB'",
            true,
            true,
        ),
        ("trim('  a ') eq 'a'", true, true),
        (
            "substring(userId, 1) eq 'da' or substring('xyz', 1, 1) eq 'z'",
            true,
            false,
        ),
        ("substring('àbc', 1, 1) eq 'b'", true, true),
        (
            "substring('abc', 5) eq '' and substring('abc', -1, 2) eq 'ab'",
            true,
            true,
        ),
        ("substring('abc', 0, -1) eq ''", true, true),
        (
            "startswith(userId, 'a') and endswith(userId, 'a')",
            true,
            false,
        ),
        ("contains(userId, 'd')", true, false),
        (
            "indexof('àbc', 'c') eq 2 and indexof('abc', 'x') eq -1",
            true,
            true,
        ),
        ("1 lt 2 and -1 gt -2 and 1 ne 2", true, true),
        ("true", true, true),
        ("false or not false", true, true),
        ("(((true)))", true, true),
        ("\t true\n", true, true),
    ] {
        assert_eq!(admits(text), (ada, nobody), "{text}");
    }
}

#[test]
fn not_binds_before_comparisons_and_these_before_and_before_or() {
    for (text, expected) in [
        ("true or true and false", true),
        ("(true or true) and false", false),
        ("not false or true", true),
        ("not (false or true)", false),
        ("not false eq false", false),
        ("not (false eq false)", false),
        ("not true eq false", true),
        ("not true eq true or true", true),
        ("1 eq 1 eq true", true),
        ("not not true", true),
    ] {
        assert_eq!(admits(text).0, expected, "{text}");
    }
}

#[test]
fn null_is_neither_true_nor_false() {
    for text in [
        "userId gt 'a'",
        "not (userId gt 'a')",
        "length(userId) ge 0",
        "not (length(userId) ge 0)",
        "contains(userId, '')",
        "not contains(userId, '')",
        "tolower(userId) lt null",
        "startswith('a', null)",
        "not null or not not null",
        "null and true",
        "null or false",
    ] {
        assert!(!admits(text).1, "{text}");
    }
    for text in [
        "null or true",
        "not (null and false)",
        "tolower(userId) eq null",
        "(userId gt 'a') eq null",
    ] {
        assert!(admits(text).1, "{text}");
    }
}

fn assert_refused(cases: &[(&str, &str)]) {
    for (text, why) in cases {
        let error = Filter::parse(text).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("invalid filter, at character {why}"),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    assert_refused(&[
        ("", "1: expected a value"),
        ("'é' eq 'x", "8: the text has no closing quote"),
        ("userId eq", "10: expected a value"),
        ("userId eq 'a' 'b'", "15: expected an operator, or the end"),
        ("(true", "6: expected an operator or a closing parenthesis"),
        ("true)", "5: expected an operator, or the end"),
        ("true && true", "6: expected an operator, or the end"),
        (
            "user eq 'a'",
            "1: unknown property; use userId, connectionId, groups or protocol",
        ),
        (
            "concat('a') eq 'a'",
            "1: the function takes another number of arguments",
        ),
        (
            "substring('a') eq 'a'",
            "1: the function takes another number of arguments",
        ),
        (
            "substring('a',1,2,3) eq 'a'",
            "1: the function takes another number of arguments",
        ),
        (
            "length() eq 1",
            "1: the function takes another number of arguments",
        ),
        ("userId in ()", "8: expected a value in the list"),
        (
            "userId in 'a'",
            "11: expected groups, or a list in parentheses",
        ),
        ("1 eq 9223372036854775808", "6: the number is out of range"),
        ("1 eq -", "6: the number is out of range"),
    ]);
    let error = Filter::parse("uppercase(userId) eq 'a'").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1: unknown function; use tolower, ")
    );
}

#[test]
fn types_that_do_not_fit_are_refused_with_their_place() {
    assert_refused(&[
        ("userId", "1: expected a condition, and this is text"),
        ("null", "1: expected a condition, and this is null"),
        (
            "userId and true",
            "1: expected a condition, and this is text",
        ),
        ("true or 1", "9: expected a condition, and this is a number"),
        ("length(1) eq 1", "8: expected text, and this is a number"),
        (
            "tolower(groups) eq 'a'",
            "9: expected text, and this is the list of groups",
        ),
        (
            "substring('a', 'b') eq 'a'",
            "16: expected a number, and this is text",
        ),
        ("1 in groups", "1: expected text, and this is a number"),
        ("userId eq 1", "8: text and a number cannot be compared"),
        (
            "groups eq 'a'",
            "8: the list of groups and text cannot be compared",
        ),
        (
            "true gt false",
            "6: a condition and a condition cannot be compared",
        ),
        (
            "userId in ('a', 1)",
            "17: text and a number cannot be compared",
        ),
        (
            "not length(userId) gt 5",
            "5: expected a condition, and this is a number",
        ),
    ]);
}

#[test]
fn limits_are_kept_to_the_unit() {
    let clauses = |n: usize| vec!["userId eq 'a'"; n].join(" or ");
    assert!(Filter::parse(&clauses(100)).is_ok());
    assert_eq!(
        Filter::parse(&clauses(101)).unwrap_err().what,
        Mistake::TooManyClauses
    );
    let levels = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    assert!(Filter::parse(&levels(64)).is_ok());
    assert_eq!(
        Filter::parse(&levels(65)).unwrap_err().what,
        Mistake::TooDeep
    );
    let nots = |n: usize| format!("{}true", "not ".repeat(n));
    assert!(Filter::parse(&nots(64)).is_ok());
    assert_eq!(Filter::parse(&nots(65)).unwrap_err().what, Mistake::TooDeep);
    let calls = |n: usize| format!("{}'a'{} eq 'a'", "trim(".repeat(n), ")".repeat(n));
    assert!(Filter::parse(&calls(64)).is_ok());
    assert_eq!(
        Filter::parse(&calls(65)).unwrap_err().what,
        Mistake::TooDeep
    );
    let length = |n: usize| format!("true{}", " ".repeat(n - 4));
    assert!(Filter::parse(&length(16 * 1024)).is_ok());
    assert_eq!(
        Filter::parse(&length(16 * 1024 + 1)).unwrap_err().what,
        Mistake::TooLong
    );
}

/// On half of the usual stack, without optimizations, and for whatever is longest without being refused.
#[test]
fn the_worst_filters_need_neither_a_deep_stack_nor_long() {
    let worst = || {
        let begun = std::time::Instant::now();
        let operands = vec!["true"; 1800].join(" and ");
        let list = format!("userId in ({})", vec!["'x'"; 3000].join(","));
        let deep = format!("{}(userId eq 'a'){}", "(not ".repeat(31), ")".repeat(31));
        let chain = format!("true{}", " eq true".repeat(100));
        let doubled = format!("'{}' eq userId", "''".repeat(8000));
        for text in [&operands, &list, &deep, &chain, &doubled] {
            let _ = admits(text);
        }
        for open in [
            "(",
            "not ",
            "trim(",
            "'",
            "((true) and ",
            "a",
            "1 ",
            ",",
            "-",
        ] {
            let endless = open.repeat(16 * 1024 / open.len());
            assert!(Filter::parse(&endless).is_err(), "{open}");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    };
    let thread = std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(worst);
    thread.unwrap().join().unwrap();
}

#[tokio::test]
async fn a_hub_asks_a_filter_about_its_connections() {
    let hub = Hub::with_filters(Config::default(), Dialects::new(), compile).unwrap();
    let node = Node::new(hub.clone(), ());
    let service = node.service(async |request: tieline::UpgradeRequest| {
        let accept = Accept::new(());
        let user = request.query("user");
        Ok(match user {
            Some(user) => accept.user(user).group("g"),
            None => accept,
        })
    });
    let mut clients = Vec::new();
    for target in ["/?user=ada", "/?user=eve", "/"] {
        clients.push(TestRequest::new(target).connect(&service).await);
    }
    for (filter, delivered) in [
        ("userId eq 'ada'", 1),
        ("'g' in groups", 2),
        ("length(groups) eq 0 and userId eq null", 1),
        ("protocol eq null", 3),
        ("connectionId eq ''", 0),
    ] {
        let reached = hub.matching(filter).broadcast("x").await;
        assert_eq!(reached.delivered, delivered, "{filter}");
        assert!(!reached.filter_refused, "{filter}");
    }
    for filter in [&b"userId eq"[..], b"\xff"] {
        assert!(
            hub.matching(filter.to_vec())
                .broadcast("x")
                .await
                .filter_refused
        );
    }
}

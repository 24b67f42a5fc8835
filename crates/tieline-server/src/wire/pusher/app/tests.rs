//! Which apps are valid, and what their secrets sign.

use super::*;
use crate::config::secret::Secret;

fn table(id: &str, key: &str, secret: &str) -> AppTable {
    AppTable {
        id: Some(id.into()),
        key: Some(key.into()),
        secret: Some(Secret::new(secret)),
        ..AppTable::default()
    }
}

const TIMEOUT: Duration = Duration::from_mins(2);
const SECRET: &str = "7ad3773142a6692b25b8";

fn invalid(tables: &[AppTable]) -> (usize, &'static str) {
    let [only] = &all_invalid(tables)[..] else {
        panic!("not one mistake: {:?}", all_invalid(tables));
    };
    *only
}

fn all_invalid(tables: &[AppTable]) -> Vec<(usize, &'static str)> {
    let invalid = Apps::of(tables, TIMEOUT, MemberLimits::USUAL).unwrap_err();
    let shows_secret = invalid.iter().any(|invalid| invalid.why.contains(SECRET));
    assert!(!shows_secret, "{invalid:?}");
    let places = invalid.iter();
    places
        .map(|invalid| (invalid.index, invalid.option))
        .collect()
}

/// The example of the documentation of Pusher Channels.
#[test]
fn a_signature_is_that_of_the_documentation() {
    let key = "278d425bdf160c739803";
    let apps =
        LiveApps::new(Apps::of(&[table("3", key, SECRET)], TIMEOUT, MemberLimits::USUAL).unwrap());
    let app = apps.by_key(key).unwrap();
    let signature = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
    let text = b"1234.1234:private-foobar";
    assert_eq!(app.sign(text), signature);
    assert!(app.has_signed(text, signature));
    assert!(!app.has_signed(b"1234.1234:private-foo", signature));
    for other in [&signature.to_uppercase(), "", &signature[1..], "x", "ä"] {
        assert!(!app.has_signed(text, other), "{other}");
    }
    assert!(apps.by_id("4").is_none() && apps.by_id("3").is_some());
    assert!(!format!("{app:?}").contains(SECRET));
}

#[test]
fn every_app_has_an_id_a_key_and_a_secret_of_its_own() {
    let good = table("1", "a", SECRET);
    assert_eq!(
        invalid(&[AppTable {
            id: None,
            ..good.clone()
        }]),
        (0, "id")
    );
    let second = [
        good.clone(),
        AppTable {
            key: None,
            ..good.clone()
        },
    ];
    assert_eq!(all_invalid(&second), [(1, "key"), (1, "id")]);
    assert_eq!(invalid(&[table("1", "a/b", SECRET)]), (0, "key"));
    assert_eq!(invalid(&[table("1", "a", &SECRET[5..])]), (0, "secret"));
    assert_eq!(invalid(&[good.clone(), table("1", "b", SECRET)]), (1, "id"));
    assert_eq!(invalid(&[good, table("2", "a", SECRET)]), (1, "key"));
}

#[test]
fn all_that_is_wrong_with_apps_is_found_at_once() {
    let wrong = AppTable {
        id: None,
        max_client_event_rate: 0,
        max_request_rate: Some(0),
        cache_expiry: Duration::ZERO,
        max_members: Some(0),
        ..table("", "a/b", "short")
    };
    let mut found = all_invalid(&[wrong.clone(), table("1", "a/b", SECRET), wrong]);
    found.sort_unstable();
    let of_wrong = |index| {
        let options = [
            "cache_expiry",
            "id",
            "key",
            "max_client_event_rate",
            "max_members",
            "max_request_rate",
            "secret",
        ];
        options.map(move |option| (index, option))
    };
    let mut expected = [
        &of_wrong(0)[..],
        &[(1, "key"), (1, "key")],
        &of_wrong(2),
        &[(2, "key")],
    ]
    .concat();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn an_app_has_its_own_limits_of_members_and_a_shared_hub_the_larger_ones() {
    let of = |id: &str, max_members, member_grace| AppTable {
        hub: Some("chat".parse().unwrap()),
        max_members,
        member_grace,
        ..table(id, id, SECRET)
    };
    let minute = Duration::from_mins(1);
    let tables = [of("1", Some(7), None), of("2", None, Some(minute))];
    let apps = Apps::of(&tables, TIMEOUT, MemberLimits::USUAL).unwrap();
    let limits = |id| {
        let MemberLimits { most, grace } = apps.by_id(id).unwrap().rules.members;
        (most, grace)
    };
    assert_eq!(limits("1"), (7, Duration::ZERO));
    assert_eq!(limits("2"), (100, minute));
    let shared = apps.shared_hubs();
    let limits = shared.values().map(|limits| (limits.most, limits.grace));
    assert_eq!(limits.collect::<Vec<_>>(), [(100, minute)]);
    assert_eq!(apps.longest_grace(), minute);
    assert_eq!(invalid(&[of("1", Some(0), None)]), (0, "max_members"));
    let long = Some(member_limits::MAX_GRACE + minute);
    assert_eq!(invalid(&[of("1", None, long)]), (0, "member_grace"));
}

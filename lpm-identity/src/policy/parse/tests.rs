use super::*;
use lpm_sample::rule::Setting;
use proptest::prelude::*;

#[track_caller]
fn error(text: &str) -> String {
    Policy::parse("office.toml", text).unwrap_err().to_string()
}

#[test]
fn a_fault_of_toml_has_its_line() {
    let message = error("[default]\npriority = 1\nmax_flows = = 3\n");
    assert!(
        message.starts_with("office.toml:3: not TOML: "),
        "{message}"
    );
    let message = error("[default]\npriority = 1\npriority = 2\n");
    assert!(
        message.starts_with("office.toml:3: not TOML: duplicate key"),
        "{message}"
    );
}

#[test]
fn unknown_keys_are_named_with_the_known_ones() {
    assert_eq!(
        error("[default]\npriority = 1\n\nmax_flow = 3\n"),
        "office.toml:4: max_flow in [default]: unknown key; accepted here: \
         priority, reject, max_flows, max_flow_duration, max_flow_rate, max_peak_rate, \
         max_sum_flow_rate, max_sum_peak_rate, when"
    );
    assert_eq!(
        error("[[users]]\nid = 'ada'\n"),
        "office.toml:1: users: unknown key; accepted here: \
         default, unauthenticated, group, user, application, subnet, authentication, time_zone"
    );
    assert_eq!(
        error("[[user]]\nid = 'ada'\npriority = 1\nname = 'Ada'"),
        "office.toml:4: name in [[user]]: unknown key; accepted here: \
         dn, id, group, priority, reject, max_flows, max_flow_duration, max_flow_rate, \
         max_peak_rate, max_sum_flow_rate, max_sum_peak_rate, when"
    );
}

#[test]
fn values_of_the_wrong_kind_say_what_is_expected() {
    for (text, expected) in [
        (
            "default = 3",
            "office.toml:1: default: expected a table, found integer",
        ),
        (
            "user = { id = 'ada' }",
            "office.toml:1: user: expected an array of tables, written in double brackets, \
             found table",
        ),
        (
            "[default]\npriority = '7'",
            "office.toml:2: priority in [default]: expected a whole number from 1 to 65280, \
             found string",
        ),
        (
            "[default]\npriority = 65281",
            "office.toml:2: priority in [default]: 65281 is out of range: \
             expected a whole number from 1 to 65280",
        ),
        (
            "[default]\npriority = 1\nmax_flows = -1",
            "office.toml:3: max_flows in [default]: -1 is out of range: \
             expected a whole number from 0 to 4294967295, or \"unlimited\"",
        ),
        (
            "[default]\npriority = 1\nmax_flows = 'many'",
            "office.toml:3: max_flows in [default]: \"many\" is out of range: \
             expected a whole number from 0 to 4294967295, or \"unlimited\"",
        ),
        (
            "[default]\nreject = 'because'",
            "office.toml:2: reject in [default]: \"because\" is not a reason; accepted: \
             unknown_user, no_privileges, expired_user_token, no_resources",
        ),
        (
            "[default]\npriority = 1\nmax_flow_rate = '2 Mbits'",
            "office.toml:3: max_flow_rate in [default]: \"Mbits\" is not a unit of rate: \
             expected bit/s or B/s, or one of them with a prefix k, M, G, T, Ki, Mi, Gi or Ti",
        ),
        (
            "[default]\npriority = 1\nmax_flow_duration = '2 hours'",
            "office.toml:3: max_flow_duration in [default]: \"hours\" is not a unit of time: \
             expected s, min, h or d",
        ),
        (
            "[default]\npriority = 1\n[[default.when]]\ndays = 'today'",
            "office.toml:4: days in [[default.when]]: \"today\" are not days: expected mon, tue, \
             wed, thu, fri, sat, sun, as in \"mon-fri\" or \"sat, sun\"",
        ),
        (
            "[default]\npriority = 1\n[[default.when]]\npriority = 2",
            "office.toml:3: [[default.when]]: when does this hold? set subnet, days or hours, or \
             move the values out of it",
        ),
        (
            "[[subnet]]\nname = 'lab'\ninterfaces = [1]\n[default]\npriority = 1\n\
             [[default.when]]\nsubnet = 'labs'",
            "office.toml:7: subnet in [[default.when]]: there is no subnet \"labs\"; defined: lab; \
             or give a prefix such as \"10.1.0.0/16\"",
        ),
        (
            "[[subnet]]\nname = 'lab'\nprefixes = ['10.1.0.0']\n[default]\npriority = 1",
            "office.toml:3: prefixes in [[subnet]]: \"10.1.0.0\" is not a prefix: expected an \
             address and a length, such as \"10.1.0.0/16\"",
        ),
        (
            "[[subnet]]\nname = 'lab'\n[default]\npriority = 1",
            "office.toml:1: [[subnet]]: nothing is on this subnet: set prefixes, interfaces or both",
        ),
        (
            "time_zone = 'Middle/Earth'\n[default]\npriority = 1",
            "office.toml:1: time_zone: there is no time zone \"Middle/Earth\"; expected a name of \
             the IANA time zone database, such as \"Europe/Zurich\"",
        ),
        (
            "[authentication]\naccept = ['password']\n[default]\npriority = 1",
            "office.toml:2: accept in [authentication]: \"password\" is not a credential type; \
             accepted: dn, ascii_id, unicode_id, kerberos_ticket, x509_certificate, \
             pgp_certificate",
        ),
        (
            "[[user]]\ndn = 'Ada'\npriority = 1",
            "office.toml:2: dn in [[user]]: not a distinguished name: after 3 bytes, \
             expected an attribute type and '=', such as \"CN=\"",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn rates_may_be_numbers_of_toml() {
    let rate = |value: &str| {
        let text = format!("[default]\npriority = 1\nmax_flow_rate = {value}");
        match Policy::parse("", &text).map(|policy| policy.default.settings.flow_rate) {
            Ok(Some(Setting::AtMost(rate))) => Ok(rate.bytes_per_second()),
            Ok(Some(Setting::Unlimited)) => Ok(f32::INFINITY),
            Ok(None) => Err(PolicyProblem::Missing("max_flow_rate")),
            Err(error) => Err(error.problem),
        }
    };
    assert_eq!(rate("62_500"), Ok(62_500.0));
    assert_eq!(rate("+62500"), Ok(62_500.0));
    assert_eq!(rate("6.25e4"), Ok(62_500.0));
    assert_eq!(rate("'500 kbit/s'"), Ok(62_500.0));
    assert_eq!(rate("'unlimited'"), Ok(f32::INFINITY));
    for bad in [
        "-1",
        "-0.5",
        "inf",
        "nan",
        "-nan",
        "1e400",
        "1e15",
        "99999999999999999999",
        "true",
        "0x10",
    ] {
        let problem = rate(bad).unwrap_err();
        assert!(
            matches!(
                problem,
                PolicyProblem::Rate(_) | PolicyProblem::WrongType { .. } | PolicyProblem::Syntax(_)
            ),
            "{bad}: {problem}"
        );
    }
}

#[test]
fn a_rule_needs_exactly_one_outcome() {
    assert_eq!(
        error("[unauthenticated]\nmax_flows = 1"),
        "office.toml:1: [unauthenticated]: neither priority nor reject is set, here or where it \
         inherits from; set one of them here, in its group or in [default]"
    );
    let message = error("[[user]]\nid = 'ada'\n\n[[user]]\nid = 'bob'\npriority = 1");
    assert!(
        message.starts_with("office.toml:1: [[user]]: neither priority"),
        "{message}"
    );
    let message = error("[default]\npriority = 1\nreject = 'no_privileges'");
    assert!(
        message.starts_with("office.toml:3: reject in [default]: a rule has"),
        "{message}"
    );
    assert!(Policy::parse("", "[default]\npriority = 1\n[[user]]\nid = 'ada'").is_ok());
}

#[test]
fn names_are_unique_whatever_their_spelling() {
    let twice = |a: &str, b: &str| {
        error(&format!(
            "[[user]]\n{a}\npriority = 1\n[[user]]\n{b}\npriority = 2"
        ))
    };
    assert_eq!(
        twice("dn = 'CN=Ada,O=Office'", "dn = 'cn=ADA; o=office'"),
        "office.toml:5: dn in [[user]]: \"cn=ADA; o=office\" is listed twice; names that \
         differ only in case or spacing are the same"
    );
    assert!(twice("id = 'ada'", "id = ' ADA '").contains(":5: id in [[user]]: \" ADA \" is"));
    assert!(
        error("[[group]]\nname = 'a'\n[[group]]\nname = 'a'").starts_with("office.toml:4: name")
    );
    // A user and an application may have the same ID.
    assert!(
        Policy::parse(
            "",
            "[[user]]\nid='a'\npriority=1\n[[application]]\nid='a'\npriority=1"
        )
        .is_ok()
    );
}

#[test]
fn names_are_needed() {
    assert!(error("[[user]]\npriority = 1").contains("set dn, id or both"));
    assert!(error("[[user]]\nid = ' '\npriority = 1").contains(":2: id in [[user]]: the name"));
    assert!(error("[[user]]\ndn = ''\npriority = 1").contains(":2: dn in [[user]]: the name"));
    assert!(error("[[group]]\npriority = 1").contains("the key name is missing"));
}

#[test]
fn a_group_must_exist() {
    assert_eq!(
        error("[[group]]\nname = 'b'\n[[group]]\nname = 'a'\n[[user]]\nid = 'u'\ngroup = 'c'"),
        "office.toml:7: group in [[user]]: there is no group \"c\"; defined: a, b"
    );
    assert!(error("[[user]]\nid = 'u'\ngroup = 'c'").ends_with("defined: none"));
}

#[test]
fn an_empty_policy_is_a_mistake() {
    assert!(error("# nothing\n").starts_with("office.toml:1: the policy has no rules"));
}

/// Policies that are nearly right: known keys, with values that may or may not fit.
fn nearly() -> impl Strategy<Value = String> {
    let section = prop::sample::select(vec![
        "[default]",
        "[unauthenticated]",
        "[[user]]",
        "[[application]]",
        "[[group]]",
        "[user]",
        "[[subnet]]",
        "[[user.when]]",
        "[authentication]",
    ]);
    let key = prop::sample::select(vec![
        "dn",
        "id",
        "name",
        "group",
        "priority",
        "reject",
        "max_flows",
        "max_flow_rate",
        "max_flow_duration",
        "days",
        "hours",
        "subnet",
        "prefixes",
        "accept",
    ]);
    let value = prop_oneof![
        Just("'CN=a'".to_owned()),
        Just("'no_privileges'".to_owned()),
        Just("'2 Mbit/s'".to_owned()),
        Just("[{}]".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "'[a-z=, ]{0,6}'",
    ];
    let line = prop_oneof![
        section.prop_map(str::to_owned),
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_text_gives_a_policy_or_an_error(text in "(?s).*") {
        let _ = Policy::parse("", &text);
    }

    #[test]
    fn an_error_is_within_the_text(text in nearly()) {
        if let Err(error) = Policy::parse("", &text) {
            prop_assert!((1..=1 + text.lines().count()).contains(&error.line), "{}", error);
        }
    }
}

#[test]
fn no_error_repeats_a_long_value() {
    let long = "x".repeat(1 << 20);
    for text in [
        format!("[default]\nreject = '{long}'"),
        format!("[default]\npriority = 1\nmax_flow_rate = '{long}'"),
        format!("[default]\npriority = 1\nmax_flow_duration = '1 {long}'"),
        format!("[default]\npriority = 1\nmax_flows = '{long}'"),
        format!("[default]\npriority = {}", "9".repeat(1 << 20)),
        format!("[default]\npriority = 1\n{long} = 1"),
        format!("[default]\npriority = 1\n[[default.when]]\ndays = '{long}'"),
        format!("[default]\npriority = 1\n[[default.when]]\nsubnet = '{long}'"),
        format!("[default]\npriority = 1\n[[user]]\ngroup = '{long}'\nid = 'a'"),
        format!("[default]\npriority = 1\n[[user]]\nid = '{long}'\n[[user]]\nid = '{long}'"),
        format!("time_zone = '{long}'\n[default]\npriority = 1"),
        format!("[default]\npriority = 1\n[authentication]\naccept = '{long}'"),
    ] {
        let error = Policy::parse("", &text).unwrap_err().to_string();
        assert!(error.len() < 1_000, "{} bytes: {error:.300}", error.len());
    }
}

#[test]
fn a_policy_may_have_many_subnets() {
    use std::fmt::Write as _;
    let mut text = "[default]\npriority = 1\n".to_owned();
    for number in 0..60_000_u32 {
        let [_, a, b, c] = (number * 16).to_be_bytes();
        write!(
            text,
            "[[subnet]]\nname = 's{number}'\nprefixes = ['10.{a}.{b}.{c}/28']\n"
        )
        .unwrap();
    }
    let policy = Policy::parse("", &text).unwrap();
    let address = "10.1.2.3".parse().unwrap();
    let here = policy.here(
        lpm_api::Interface { index: 1, address },
        std::time::SystemTime::now(),
    );
    let subnet = &policy.subnets()[here.subnet().unwrap()];
    assert_eq!(subnet.name, format!("s{}", 0x01_02_00 / 16));
    let unknown = format!("{text}[[default.when]]\nsubnet = 'nowhere'\n");
    let error = Policy::parse("", &unknown).unwrap_err().to_string();
    assert!(error.contains("and 59980 more"), "{error}");
}

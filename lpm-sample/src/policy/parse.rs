//! From the text of a policy to its rules.

mod error;
mod section;

use std::collections::HashMap;

use lpm_api::{LpmPolicyError, Scope};
use toml::de::DeTable;

use super::{Limit, Listed, Outcome, Policy, Rule};
use crate::name::Name;
use section::{File, Section, Setting, Settings};

pub use error::{PolicyError, PolicyProblem};

/// The keys of every rule.
const RULE: [&str; 4] = ["priority", "reject", "max_flows", "max_flow_rate"];
/// The keys of a user and of an application.
const SUBJECT: [&str; 7] = [
    "dn",
    "id",
    "group",
    "priority",
    "reject",
    "max_flows",
    "max_flow_rate",
];
/// The keys of a group.
const GROUP: [&str; 5] = ["name", "priority", "reject", "max_flows", "max_flow_rate"];
/// The sections of a policy.
const POLICY: [&str; 5] = ["default", "unauthenticated", "group", "user", "application"];

pub(super) fn policy(source: &str, text: &str) -> Result<Policy, PolicyError> {
    let file = File { source, text };
    let document = DeTable::parse(text).map_err(|error| file.syntax_error(&error))?;
    let top = Section::new(file, "", document.get_ref(), document.span().start, &POLICY)?;
    if document.get_ref().is_empty() {
        return Err(top.fail(PolicyProblem::NoRules));
    }

    let default = match top.table("default", &RULE)? {
        Some(section) => Some(standing_rule(&section)?),
        None => None,
    };
    let unauthenticated = match top.table("unauthenticated", &RULE)? {
        Some(section) => Some(standing_rule(&section)?),
        None => None,
    };
    let inherited = Inherited {
        groups: groups(&top)?,
        default,
    };

    Ok(Policy {
        users: listed(&top, "user", &inherited)?,
        applications: listed(&top, "application", &inherited)?,
        default: default
            .and_then(|default| resolve(&[(default, Scope::GlobalDefault)]))
            .unwrap_or(Rule::rejecting(LpmPolicyError::UnknownUser)),
        unauthenticated: unauthenticated
            .and_then(|rule| resolve(&[(rule, Scope::GlobalUnauthenticated)]))
            .unwrap_or(Rule::rejecting(LpmPolicyError::NoPrivileges)),
    })
}

/// The path in a configuration that names a policy file; `None` if the configuration is a policy.
pub(super) fn policy_file(source: &str, config: &str) -> Result<Option<String>, PolicyError> {
    let file = File {
        source,
        text: config,
    };
    let document = DeTable::parse(config).map_err(|error| file.syntax_error(&error))?;
    let table = document.get_ref();
    if !table.contains_key("policy_file") {
        return Ok(None);
    }
    let top = Section::new(file, "", table, document.span().start, &["policy_file"])?;
    Ok(top.text("policy_file")?.map(|(path, _)| path.to_owned()))
}

impl Rule {
    fn rejecting(reason: LpmPolicyError) -> Rule {
        Rule {
            outcome: Outcome::Reject(reason),
            max_flows: Limit::Unlimited,
            max_flow_rate: Limit::Unlimited,
        }
    }
}

/// What users and applications fall back to.
struct Inherited {
    groups: HashMap<String, Settings>,
    default: Option<Settings>,
}

/// The settings of `[default]` or `[unauthenticated]`, which inherit nothing.
fn standing_rule(section: &Section<'_>) -> Result<Settings, PolicyError> {
    let settings = section.settings()?;
    if settings.outcome.is_none() {
        return Err(section.fail(PolicyProblem::NoOutcome));
    }
    Ok(settings)
}

fn groups(top: &Section<'_>) -> Result<HashMap<String, Settings>, PolicyError> {
    let mut groups = HashMap::new();
    for section in top.tables("group", &GROUP)? {
        let (name, at) = section
            .text("name")?
            .ok_or_else(|| section.fail(PolicyProblem::Missing("name")))?;
        if groups
            .insert(name.to_owned(), section.settings()?)
            .is_some()
        {
            return Err(at.fail(PolicyProblem::Duplicate(name.to_owned())));
        }
    }
    Ok(groups)
}

/// The users or the applications of a policy.
fn listed(
    top: &Section<'_>,
    kind: &'static str,
    inherited: &Inherited,
) -> Result<Listed, PolicyError> {
    let mut listed = Listed::default();
    for section in top.tables(kind, &SUBJECT)? {
        let index = listed.rules.len();
        let dn = section.text("dn")?;
        let id = section.text("id")?;
        if dn.is_none() && id.is_none() {
            return Err(section.fail(PolicyProblem::NoName));
        }
        if let Some((dn, at)) = dn {
            let name = Name::dn(dn).map_err(|error| at.fail(PolicyProblem::Dn(error)))?;
            if name.is_empty() {
                return Err(at.fail(PolicyProblem::EmptyName));
            }
            if listed.by_dn.insert(name.as_bytes().into(), index).is_some() {
                return Err(at.fail(PolicyProblem::Duplicate(dn.to_owned())));
            }
        }
        if let Some((id, at)) = id {
            let name = Name::id(id);
            if name.is_empty() {
                return Err(at.fail(PolicyProblem::EmptyName));
            }
            if listed.by_id.insert(name.as_bytes().into(), index).is_some() {
                return Err(at.fail(PolicyProblem::Duplicate(id.to_owned())));
            }
        }
        listed.rules.push(rule(&section, inherited)?);
    }
    Ok(listed)
}

/// The rule of one user or application, most specific setting first.
fn rule(section: &Section<'_>, inherited: &Inherited) -> Result<Rule, PolicyError> {
    let group = match section.text("group")? {
        None => None,
        Some((name, at)) => {
            let Some(group) = inherited.groups.get(name) else {
                let mut known: Vec<_> = inherited.groups.keys().cloned().collect();
                known.sort_unstable();
                return Err(at.fail(PolicyProblem::UnknownGroup {
                    found: name.to_owned(),
                    known,
                }));
            };
            Some(*group)
        }
    };
    let layers = [
        (section.settings()?, Scope::GlobalUser),
        (group.unwrap_or_default(), Scope::GlobalGroup),
        (inherited.default.unwrap_or_default(), Scope::GlobalDefault),
    ];
    resolve(&layers).ok_or_else(|| section.fail(PolicyProblem::NoOutcome))
}

/// The first value of each setting, in the order given; `None` if there is no outcome among them.
fn resolve(layers: &[(Settings, Scope)]) -> Option<Rule> {
    Some(Rule {
        outcome: layers.iter().find_map(|(settings, _)| settings.outcome)?,
        max_flows: first_limit(layers, |settings| settings.max_flows),
        max_flow_rate: first_limit(layers, |settings| settings.max_flow_rate),
    })
}

fn first_limit<T>(
    layers: &[(Settings, Scope)],
    setting: impl Fn(&Settings) -> Option<Setting<T>>,
) -> Limit<T> {
    let first = layers
        .iter()
        .find_map(|(settings, scope)| Some((setting(settings)?, *scope)));
    match first {
        Some((Setting::AtMost(most), scope)) => Limit::AtMost(most, scope),
        Some((Setting::Unlimited, _)) | None => Limit::Unlimited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn error(text: &str) -> String {
        policy("office.toml", text).unwrap_err().to_string()
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
             priority, reject, max_flows, max_flow_rate"
        );
        assert_eq!(
            error("[[users]]\nid = 'ada'\n"),
            "office.toml:1: users: unknown key; accepted here: \
             default, unauthenticated, group, user, application"
        );
        assert_eq!(
            error("[[user]]\nid = 'ada'\npriority = 1\nname = 'Ada'"),
            "office.toml:4: name in [[user]]: unknown key; accepted here: \
             dn, id, group, priority, reject, max_flows, max_flow_rate"
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
                "office.toml:1: user: expected an array of tables, written [[user]], \
                 [[application]] or [[group]], found table",
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
            match policy("", &text).map(|policy| policy.default.max_flow_rate) {
                Ok(Limit::AtMost(rate, _)) => Ok(rate.bytes_per_second()),
                Ok(Limit::Unlimited) => Ok(f32::INFINITY),
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
                    PolicyProblem::Rate(_)
                        | PolicyProblem::WrongType { .. }
                        | PolicyProblem::Syntax(_)
                ),
                "{bad}: {problem}"
            );
        }
    }

    #[test]
    fn a_rule_needs_exactly_one_outcome() {
        assert_eq!(
            error("[unauthenticated]\nmax_flows = 1"),
            "office.toml:1: [unauthenticated]: neither priority nor reject is set, and none is \
             inherited; set one of them here, in its group or in [default]"
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
        assert!(policy("", "[default]\npriority = 1\n[[user]]\nid = 'ada'").is_ok());
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
            error("[[group]]\nname = 'a'\n[[group]]\nname = 'a'")
                .starts_with("office.toml:4: name")
        );
        // A user and an application may have the same ID.
        assert!(
            policy(
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
            let _ = policy("", &text);
        }

        #[test]
        fn an_error_is_within_the_text(text in nearly()) {
            if let Err(error) = policy("", &text) {
                prop_assert!((1..=1 + text.lines().count()).contains(&error.line), "{}", error);
            }
        }
    }
}

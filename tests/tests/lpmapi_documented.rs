//! The book's chapter on lpmapi.h has every name of the header, and the numbers behind the names
//! are ours. Compares with Debian's copy of the header (`mingw-w64-common`), or the one in
//! `LPMAPI_H`; where there is none, nothing is compared.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lpm_api::lpm_rsvp::intserv::number;
use lpm_api::lpm_rsvp::policy::PolicyErrorValue;
use lpm_api::lpm_rsvp::{ErrorReason, ErrorSpec, MessageType, ResvStyle, Session, class};
use lpm_api::{
    CommitDecision, Decision, DeleteReason, LpmPolicyError, LpmStatus, Metric, PeType, Priority,
    Scope,
};

/// Words in the header that are C's or Windows', or name what a macro or a function is given.
const NOT_OF_THE_API: [&str; 39] = [
    "APIENTRY",
    "C",
    "CALLBACK",
    "DECLARE_HANDLE",
    "DWORD",
    "FLOAT",
    "IN_ADDR",
    "UCHAR",
    "ULONG",
    "USHORT",
    "VOID",
    "WINAPI",
    "WINBOOL",
    "WORD",
    "_ARM_",
    "__LPMAPI_H_",
    "__cplusplus",
    "__stdcall",
    "cnt",
    "define",
    "defined",
    "else",
    "endif",
    "enum",
    "extern",
    "if",
    "ifdef",
    "ifndef",
    "in_addr",
    "int",
    "p",
    "scp",
    "sizeof",
    "struct",
    "typedef",
    "u_char",
    "union",
    "void",
    "x",
];

struct Row {
    names: Vec<String>,
    counterpart: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut in_table = false;
    for line in include_str!("../../docs/src/lpmapi.md").lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match cells[..] {
            ["", "lpmapi.h", "Rust", ""] => in_table = true,
            ["", "---", "---", ""] => {}
            ["", names, counterpart, ""] if in_table => rows.push(Row {
                names: code(names).flat_map(unfolded).collect(),
                counterpart,
            }),
            _ => in_table = false,
        }
    }
    rows
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `a_{b,c}` is `a_b` and `a_c`.
fn unfolded(name: &str) -> Vec<String> {
    let Some((start, rest)) = name.split_once('{') else {
        return vec![name.to_owned()];
    };
    let (choices, end) = rest.split_once('}').expect("a closing brace");
    let ends = unfolded(end);
    let with_end = |choice| ends.iter().map(move |end| format!("{start}{choice}{end}"));
    choices.split(',').flat_map(with_end).collect()
}

fn header() -> Option<String> {
    let path = std::env::var_os("LPMAPI_H").map_or_else(
        || PathBuf::from("/usr/share/mingw-w64/include/lpmapi.h"),
        PathBuf::from,
    );
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("not compared: there is no {}", path.display());
        return None;
    };
    let mut code = String::new();
    for part in text.split("/*") {
        code += part.split_once("*/").map_or(part, |(_comment, code)| code);
    }
    assert!(code.contains("LPM_Initialize"), "{}", path.display());
    Some(code)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

#[test]
fn every_name_of_the_header_has_a_row_and_every_row_a_name() {
    let Some(header) = header() else { return };
    let names: BTreeSet<&str> = words(&header)
        .filter(|word| !NOT_OF_THE_API.contains(word))
        .collect();
    let rows = rows();
    let documented: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.names.iter().map(String::as_str))
        .collect();
    let missing: Vec<_> = names.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "no counterpart and no reason: {missing:?}"
    );
    let unknown: Vec<_> = documented.difference(&names).collect();
    assert!(unknown.is_empty(), "not in the header: {unknown:?}");
}

#[test]
fn every_row_names_what_there_is_or_says_why_there_is_nothing() {
    let items = items();
    let rows = rows();
    assert!(rows.len() > 200, "{} rows", rows.len());
    for Row { names, counterpart } in rows {
        let paths: Vec<_> = code(counterpart)
            .filter(|path| path.starts_with(|c: char| c.is_ascii_alphabetic()))
            .filter(|path| !names.iter().any(|name| name == path))
            .collect();
        let is_explained = [
            "none: ",
            "none on the wire: ",
            "none of its own: ",
            "whole objects, ",
        ]
        .iter()
        .any(|start| counterpart.starts_with(start));
        assert!(
            is_explained || !paths.is_empty(),
            "{names:?}: {counterpart}"
        );
        for path in paths {
            let path = path.trim_end_matches('!').trim_start_matches("lpm_rsvp::");
            for segment in path
                .split("::")
                .filter(|segment| !segment.contains(['&', '(', '.']))
            {
                assert!(
                    items.contains(segment),
                    "{names:?}: there is no {segment} of {path}"
                );
            }
        }
    }
}

/// The names of what `lpm-abi`, `lpm-api` and `lpm-rsvp` define: items, variants, fields,
/// functions.
fn items() -> BTreeSet<String> {
    const KEYWORDS: [&str; 8] = [
        "fn",
        "const",
        "struct",
        "enum",
        "trait",
        "mod",
        "type",
        "macro_rules",
    ];
    let mut items = BTreeSet::new();
    for file in sources() {
        for line in file.lines().map(str::trim) {
            if line.starts_with("//") {
                continue;
            }
            let mut before = "";
            for word in words(line) {
                if KEYWORDS.contains(&before) {
                    items.insert(word.to_owned());
                }
                before = word;
            }
            // A variant, or a field.
            let name = line.trim_start_matches("pub ");
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if let Some((name, rest)) = end.map(|end| name.split_at(end)) {
                if [",", "(", " {", ": ", " = "]
                    .iter()
                    .any(|sign| rest.starts_with(sign))
                {
                    items.insert(name.to_owned());
                }
            }
        }
    }
    items
}

fn sources() -> Vec<String> {
    fn read(folder: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => read(&path, files),
                false => files.push(fs::read_to_string(path).expect("a source")),
            }
        }
    }
    let mut files = Vec::new();
    for name in ["lpm-abi", "lpm-api", "lpm-rsvp"] {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        read(&tests.join("..").join(name).join("src"), &mut files);
    }
    files
}

/// Numbers of the header: those that a macro is, and those of enumerators.
fn numbers(header: &str) -> BTreeMap<&str, u32> {
    let defined = header.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
        Some((name, number_of(value)?))
    });
    let enumerated = header.split([',', '{', '\n']).filter_map(|part| {
        let (name, value) = part.split_once(" = ")?;
        Some((name.trim(), number_of(value.trim())?))
    });
    defined.chain(enumerated).collect()
}

fn number_of(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[test]
fn the_numbers_are_the_headers() {
    let Some(header) = header() else { return };
    let numbers = numbers(&header);
    let ours = ours();
    assert!(ours.len() > 140, "{} numbers", ours.len());
    for (name, our) in ours {
        // Styles are sums of two macros.
        let number = match name.strip_prefix("STYLE_") {
            Some("WF") => Some(numbers["Opt_Shared"] + numbers["Opt_Wildcard"]),
            Some("FF") => Some(numbers["Opt_Distinct"] + numbers["Opt_Explicit"]),
            Some("SE") => Some(numbers["Opt_Shared"] + numbers["Opt_Explicit"]),
            _ => numbers.get(&*name).copied(),
        };
        assert_eq!(number, Some(our), "{name}");
    }
}

fn ours() -> Vec<(String, u32)> {
    let named = |name: &str, number: u32| (name.to_owned(), number);
    let mut ours = vec![
        named("LPM_OK", LpmStatus::OK.0),
        named("INV_LPM_HANDLE", LpmStatus::INVALID_LPM_HANDLE.0),
        named("LPM_TIME_OUT", LpmStatus::TIME_OUT.0),
        named("INV_REQ_HANDLE", LpmStatus::INVALID_REQUEST_HANDLE.0),
        named("DUP_RESULTS", LpmStatus::DUPLICATE_RESULTS.0),
        named("INV_RESULTS", LpmStatus::INVALID_RESULTS.0),
        named("LPM_API_VERSION_1", lpm_abi::API_VERSION),
        named("PCM_VERSION_1", lpm_abi::API_VERSION),
        named("LPM_PE_ALL_TYPES", PeType::ALL.p_type().into()),
        named("LPM_PE_USER_IDENTITY", PeType::AUTH_USER.p_type().into()),
        named("LPM_PE_APP_IDENTITY", PeType::AUTH_APP.p_type().into()),
        named("LPV_MIN_PRIORITY", Decision::accept(Priority::MIN).lpv()),
        named("LPV_MAX_PRIORITY", Decision::accept(Priority::MAX).lpv()),
        named("LPV_DROP_MSG", Decision::DropMessage.lpv()),
        named("LPV_DONT_CARE", Decision::DontCare.lpv()),
        named(
            "LPV_REJECT",
            Decision::reject(LpmPolicyError::NoMemory).lpv(),
        ),
        named(
            "FORCE_IMMEDIATE_REFRESH",
            lpm_abi::AbiAnswer::FORCE_IMMEDIATE_REFRESH,
        ),
        named(
            "RESOURCES_ALLOCATED",
            CommitDecision::ResourcesAllocated as u32,
        ),
        named(
            "RESOURCES_MODIFIED",
            CommitDecision::ResourcesModified as u32,
        ),
        named("RCVD_PATH_TEAR", DeleteReason::ReceivedPathTear as u32),
        named("RCVD_RESV_TEAR", DeleteReason::ReceivedResvTear as u32),
        named(
            "ADM_CTRL_FAILED",
            DeleteReason::AdmissionControlFailed as u32,
        ),
        named("STATE_TIMEOUT", DeleteReason::StateTimeout as u32),
        named("FLOW_DURATION", DeleteReason::FlowDuration as u32),
        named("SESSFLG_E_Police", Session::E_POLICE.into()),
        named("ERROR_SPECF_InPlace", ErrorSpec::IN_PLACE.into()),
        named("ERROR_SPECF_NotGuilty", ErrorSpec::NOT_GUILTY.into()),
        named("STYLE_WF", ResvStyle::WildcardFilter.option_vector()),
        named("STYLE_FF", ResvStyle::FixedFilter.option_vector()),
        named("STYLE_SE", ResvStyle::SharedExplicit.option_vector()),
    ];
    let errors = [
        ("UNKNOWN_USER", LpmPolicyError::UnknownUser),
        ("NO_PRIVILEGES", LpmPolicyError::NoPrivileges),
        ("EXPIRED_USER_TOKEN", LpmPolicyError::ExpiredUserToken),
        ("NO_RESOURCES", LpmPolicyError::NoResources),
        ("PRE_EMPTED", LpmPolicyError::Preempted),
        ("USER_CHANGED", LpmPolicyError::UserChanged),
        ("NO_ACCEPTS", LpmPolicyError::NoAccepts),
        ("NO_MEMORY", LpmPolicyError::NoMemory),
        ("CRAZY_FLOWSPEC", LpmPolicyError::CrazyFlowSpec),
    ];
    let errors = errors.map(|(name, error)| (name.to_owned(), error));
    let errors = errors.into_iter().chain(limits());
    ours.extend(
        errors.map(|(name, error)| (format!("POLICY_ERRV_{name}"), error.value().get().into())),
    );
    let identity = [
        ("ERROR_NO_MORE_INFO", PolicyErrorValue::NoMoreInfo),
        (
            "UNSUPPORTED_CREDENTIAL_TYPE",
            PolicyErrorValue::UnsupportedCredentialType,
        ),
        (
            "INSUFFICIENT_PRIVILEGES",
            PolicyErrorValue::InsufficientPrivileges,
        ),
        ("EXPIRED_CREDENTIAL", PolicyErrorValue::ExpiredCredential),
        ("IDENTITY_CHANGED", PolicyErrorValue::IdentityChanged),
    ];
    ours.extend(identity.map(|(name, error)| named(name, error.number().into())));
    let messages = [
        ("PATH", MessageType::Path),
        ("RESV", MessageType::Resv),
        ("PATH_ERR", MessageType::PathErr),
        ("RESV_ERR", MessageType::ResvErr),
        ("PATH_TEAR", MessageType::PathTear),
        ("RESV_TEAR", MessageType::ResvTear),
    ];
    ours.extend(messages.map(|(name, t)| (format!("RSVP_{name}"), t.number().into())));
    let classes = [
        ("NULL", class::NULL),
        ("SESSION", class::SESSION),
        ("RSVP_HOP", class::RSVP_HOP),
        ("INTEGRITY", class::INTEGRITY),
        ("TIME_VALUES", class::TIME_VALUES),
        ("ERROR_SPEC", class::ERROR_SPEC),
        ("SCOPE", class::SCOPE),
        ("STYLE", class::STYLE),
        ("FLOWSPEC", class::FLOWSPEC),
        ("FILTER_SPEC", class::FILTER_SPEC),
        ("SENDER_TEMPLATE", class::SENDER_TEMPLATE),
        ("SENDER_TSPEC", class::SENDER_TSPEC),
        ("ADSPEC", class::ADSPEC),
        ("POLICY_DATA", class::POLICY_DATA),
        ("CONFIRM", class::RESV_CONFIRM),
    ];
    ours.extend(classes.map(|(name, class)| (format!("class_{name}"), class.into())));
    let integrated_services = [
        ("GENERAL_INFO", number::GENERAL),
        ("GUARANTEED_SERV", number::GUARANTEED),
        ("CONTROLLED_LOAD_SERV", number::CONTROLLED_LOAD),
        ("QUALITATIVE_SERV", number::NULL),
        ("IS_WKP_HOP_CNT", number::IS_HOPS),
        ("IS_WKP_PATH_BW", number::PATH_BANDWIDTH),
        ("IS_WKP_MIN_LATENCY", number::MINIMUM_LATENCY),
        ("IS_WKP_COMPOSED_MTU", number::PATH_MTU),
        ("IS_WKP_TB_TSPEC", number::TOKEN_BUCKET_TSPEC),
        ("IS_WKP_Q_TSPEC", number::NULL_TSPEC),
        ("IS_GUAR_RSPEC", number::GUARANTEED_RSPEC),
        ("GUAR_ADSPARM_Ctot", number::C_TOT),
        ("GUAR_ADSPARM_Dtot", number::D_TOT),
        ("GUAR_ADSPARM_Csum", number::C_SUM),
        ("GUAR_ADSPARM_Dsum", number::D_SUM),
    ];
    ours.extend(integrated_services.map(|(name, number)| named(name, number.into())));
    ours.extend(codes());
    ours
}

fn limits() -> Vec<(String, LpmPolicyError)> {
    let metrics = [
        ("FLOW_COUNT", Metric::FlowCount),
        ("FLOW_DURATION", Metric::FlowDuration),
        ("FLOW_RATE", Metric::FlowRate),
        ("PEAK_RATE", Metric::PeakRate),
        ("SUM_FLOW_RATE", Metric::SumFlowRate),
        ("SUM_PEAK_RATE", Metric::SumPeakRate),
    ];
    let scopes = [
        ("GLOBAL_DEF", Scope::GlobalDefault),
        ("GLOBAL_GRP", Scope::GlobalGroup),
        ("GLOBAL_USER", Scope::GlobalUser),
        ("GLOBAL_UNAUTH_USER", Scope::GlobalUnauthenticated),
        ("SUBNET_DEF", Scope::SubnetDefault),
        ("SUBNET_GRP", Scope::SubnetGroup),
        ("SUBNET_USER", Scope::SubnetUser),
        ("SUBNET_UNAUTH_USER", Scope::SubnetUnauthenticated),
    ];
    let mut limits = Vec::new();
    for (metric_name, metric) in metrics {
        for (scope_name, scope) in scopes {
            let name = format!("{scope_name}_{metric_name}");
            limits.push((name, LpmPolicyError::Limit(metric, scope)));
        }
    }
    limits
}

/// The codes whose reasons are told apart from others.
fn codes() -> Vec<(String, u32)> {
    type Is = fn(ErrorReason) -> bool;
    let codes: [(&str, Is); 15] = [
        ("NONE", |reason| matches!(reason, ErrorReason::Confirmation)),
        ("ADMISSION", |reason| {
            matches!(reason, ErrorReason::AdmissionControl(_))
        }),
        ("POLICY", |reason| matches!(reason, ErrorReason::Policy(_))),
        ("NO_PATH", |reason| matches!(reason, ErrorReason::NoPath)),
        ("NO_SENDER", |reason| {
            matches!(reason, ErrorReason::NoSender)
        }),
        ("BAD_STYLE", |reason| {
            matches!(reason, ErrorReason::ConflictingStyle(_))
        }),
        ("UNKNOWN_STYLE", |reason| {
            matches!(reason, ErrorReason::UnknownStyle)
        }),
        ("BAD_DSTPORT", |reason| {
            matches!(reason, ErrorReason::ConflictingDestPorts)
        }),
        ("BAD_SNDPORT", |reason| {
            matches!(reason, ErrorReason::ConflictingSenderPorts)
        }),
        ("PREEMPTED", |reason| {
            matches!(reason, ErrorReason::Preempted(_))
        }),
        ("UNKN_OBJ_CLASS", |reason| {
            matches!(reason, ErrorReason::UnknownClass(_))
        }),
        ("UNKNOWN_CTYPE", |reason| {
            matches!(reason, ErrorReason::UnknownCType(_))
        }),
        ("API_ERROR", |reason| matches!(reason, ErrorReason::Api(_))),
        ("TC_ERROR", |reason| {
            matches!(reason, ErrorReason::TrafficControl(_))
        }),
        ("RSVP_SYS_ERROR", |reason| {
            matches!(reason, ErrorReason::RsvpSystem(_))
        }),
    ];
    let code = |(name, is): (&str, Is)| {
        let code = (0..=u8::MAX).find(|code| is(ErrorReason::new(*code, 1)));
        (format!("RSVP_Err_{name}"), code.expect("a code").into())
    };
    codes.into_iter().map(code).collect()
}

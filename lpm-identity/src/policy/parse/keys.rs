//! The keys that a policy may have, by kind of table.

/// The keys of every section, after those that say whose it is.
pub(super) const VALUES: &[&str] = &[
    "priority",
    "reject",
    "max_flows",
    "max_flow_duration",
    "max_flow_rate",
    "max_peak_rate",
    "max_sum_flow_rate",
    "max_sum_peak_rate",
];
pub(super) const WHEN: &[&str] = &["when"];
pub(super) const CONDITIONS: &[&str] = &["subnet", "days", "hours"];
/// The keys of a user and of an application.
pub(super) const SUBJECT: &[&str] = &["dn", "id", "group"];
pub(super) const GROUP: &[&str] = &["name"];
pub(super) const SUBNET: &[&str] = &["name", "prefixes", "interfaces"];
pub(super) const AUTHENTICATION: &[&str] = &["accept", "accept_with_integrity"];
/// The sections that set values.
pub(super) const RULES: &[&str] = &["default", "unauthenticated", "group", "user", "application"];
pub(super) const SETUP: &[&str] = &["subnet", "authentication", "time_zone"];
/// The keys of a policy.
pub(crate) const POLICY: [&[&str]; 2] = [RULES, SETUP];

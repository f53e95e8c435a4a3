//! Policies for the identity LPM, with any number of users.

use std::fmt::Write as _;

use crate::messages::{distinguished_name, user_id};

/// How many groups the users are in.
pub const GROUPS: u32 = 1_000;

/// The group that a user is in.
#[must_use]
pub const fn group_of(user: u32) -> u32 {
    user % GROUPS
}

/// What a flow of a user may have at most, in bytes/s.
pub const MAX_FLOW_RATE: u32 = 250_000;

/// The priority of what a user is granted.
pub const PRIORITY: u32 = 2;

/// The policy file: users in groups, which say what they may have. Nobody else is granted anything.
#[must_use]
pub fn identity_policy(users: u32) -> String {
    let mut text = String::from(
        "[default]\nreject = 'unknown_user'\n[unauthenticated]\nreject = 'no_privileges'\n",
    );
    for group in 0..GROUPS.min(users) {
        let limits = format!("priority = {PRIORITY}\nmax_flow_rate = {MAX_FLOW_RATE}\n");
        let _ = write!(text, "[[group]]\nname = 'g{group}'\n{limits}");
    }
    for user in 0..users {
        let (dn, id) = (distinguished_name(user), user_id(user));
        let group = group_of(user);
        let _ = write!(
            text,
            "[[user]]\ndn = '{dn}'\nid = '{id}'\ngroup = 'g{group}'\n"
        );
    }
    text
}

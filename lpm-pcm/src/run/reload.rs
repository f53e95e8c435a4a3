//! Which parts of a configuration a service takes while it runs, and which not.

use crate::config::Config;

/// What is different in another configuration, and is not taken before a restart.
#[must_use]
pub fn not_taken(old: &Config, new: &Config) -> Vec<&'static str> {
    let without_interfaces = |config: &Config| {
        let mut sbm = config.sbm.clone();
        sbm.interfaces.clear();
        sbm
    };
    // Facilities of syslog cannot be compared.
    let events = |config: &Config| format!("{:?}", config.events);
    let names = |config: &Config| {
        let tables = config.sbm.interfaces.iter();
        let mut names: Vec<_> = tables.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    };
    let all = [
        (
            old.run.enforce != new.run.enforce,
            "`enforce` in [run]: what is reserved would have to be moved",
        ),
        (
            names(old) != names(new),
            "[interface] tables that come or go: the bandwidth of those that stay was not taken either",
        ),
        (
            without_interfaces(old) != without_interfaces(new),
            "[sbm]: the times and limits of what is kept",
        ),
        (
            old.keys != new.keys,
            "[[keys]]: which messages came already would be forgotten",
        ),
        (events(old) != events(new), "[[events]]: where events go"),
    ];
    let differs = all.into_iter().filter(|(differs, _)| *differs);
    differs.map(|(_, what)| what).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(tables: &str) -> Config {
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n{tables}\n");
        Config::parse(Path::new("pcm.toml"), &text).unwrap()
    }

    #[test]
    fn what_is_not_taken_is_named() {
        let old = config("[interface.1]\nbandwidth = '1 Mbit/s'");
        for taken in [
            "[interface.1]\nbandwidth = '2 Mbit/s'\npreemption = true",
            "[interface.1]\nbandwidth = '1 Mbit/s'\n[run]\nrefresh = '1 s'\nreplace_qdisc = true",
            "[interface.1]\nbandwidth = '1 Mbit/s'\n[run]\ncontrol = 'c'\nmetrics = '127.0.0.1:1'",
        ] {
            assert_eq!(not_taken(&old, &config(taken)), [""; 0], "{taken}");
        }
        for (not, what) in [
            ("[run]\nenforce = true", "`enforce`"),
            ("[sbm]\nmax_flows = 7", "[sbm]"),
            ("[[events]]\nto = 'stderr'", "[[events]]"),
            ("[interface.2]\nbandwidth = '1 Mbit/s'", "[interface]"),
        ] {
            let new = config(&format!("[interface.1]\nbandwidth = '1 Mbit/s'\n{not}"));
            let found = not_taken(&old, &new);
            assert!(
                matches!(found[..], [one] if one.starts_with(what)),
                "{found:?}"
            );
        }
        assert_eq!(not_taken(&old, &config("")).len(), 1);
    }
}

//! The `[sbm]` table and the `[interface."…"]` tables: the SBM stand-in.

use std::collections::BTreeMap;

use lpm_api::Rate;
use lpm_sbm::{InterfaceName, PoolConfig, SbmConfig, bits_per_second};
use serde::Deserialize;
use toml::Spanned;

use super::duration;
use super::error::Fault;

/// `[sbm]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SbmTable {
    missed_refreshes: Option<Spanned<u32>>,
    max_refresh: Option<Spanned<String>>,
    max_flow_duration: Option<Spanned<String>>,
    max_flows: Option<Spanned<usize>>,
    #[serde(default)]
    require_path: bool,
}

/// `[interface."…"]` as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceTable {
    bandwidth: Spanned<String>,
    max_per_flow: Option<Spanned<String>>,
    #[serde(default)]
    preemption: bool,
}

/// The interfaces by the names that are written down.
pub(super) type InterfaceTables = BTreeMap<Spanned<String>, InterfaceTable>;

impl SbmTable {
    pub(super) fn config(self, interfaces: InterfaceTables) -> Result<SbmConfig, Fault> {
        let mut config = SbmConfig::default();
        if let Some(count) = positive(self.missed_refreshes, "missed_refreshes")? {
            config.missed_refreshes = count;
        }
        if let Some(count) = positive(self.max_flows, "max_flows")? {
            config.max_flows = count;
        }
        if let Some(text) = self.max_refresh {
            config.max_refresh = duration::parse(&text, "max_refresh")?;
        }
        let max_flow_duration = self.max_flow_duration;
        config.max_flow_duration = max_flow_duration
            .map(|text| duration::parse(&text, "max_flow_duration"))
            .transpose()?;
        config.require_path = self.require_path;
        for (name, table) in interfaces {
            let interface = self::name(&name)?;
            if config
                .interfaces
                .iter()
                .any(|(other, _)| *other == interface)
            {
                let message = format!("a second table for the interface {interface}");
                return Err(Fault::of(&name, message));
            }
            config.interfaces.push((interface, table.pool()?));
        }
        Ok(config)
    }
}

impl InterfaceTable {
    fn pool(self) -> Result<PoolConfig, Fault> {
        let bandwidth = rate(&self.bandwidth, "bandwidth")?;
        let max_per_flow = match &self.max_per_flow {
            None => None,
            Some(text) => Some((text, rate(text, "max_per_flow")?)),
        };
        if let Some((text, _)) = max_per_flow.filter(|(_, rate)| *rate > bandwidth) {
            let message = format!(
                "`max_per_flow` is {}, more than the `bandwidth` {}",
                text.get_ref(),
                self.bandwidth.get_ref()
            );
            return Err(Fault::of(text, message));
        }
        Ok(PoolConfig {
            bandwidth,
            max_per_flow: max_per_flow.map(|(_, rate)| rate),
            preemption: self.preemption,
        })
    }
}

/// An interface by its number, its address, or `*`.
pub(super) fn name(name: &Spanned<String>) -> Result<InterfaceName, Fault> {
    let text = name.get_ref();
    if text == "*" {
        return Ok(InterfaceName::Any);
    }
    let expected = "expected its number, which counts from 1, its address, or \"*\"; a name such as \"eth0\" stands in \
                    `interfaces` of [run] only (`ip addr` shows number and address of each)";
    match text.parse() {
        Ok(0) => Err(Fault::of(
            name,
            format!("there is no interface 0; {expected}"),
        )),
        Ok(index) => Ok(InterfaceName::Index(index)),
        Err(_) => text
            .parse()
            .map(InterfaceName::Address)
            .map_err(|_| Fault::of(name, format!("{text:?} names no interface; {expected}"))),
    }
}

fn positive<T: Default + PartialEq>(
    value: Option<Spanned<T>>,
    key: &str,
) -> Result<Option<T>, Fault> {
    match value {
        Some(value) if *value.get_ref() == T::default() => {
            let message = format!("`{key}` is 0, expected 1 or more");
            Err(Fault::of(&value, message))
        }
        value => Ok(value.map(Spanned::into_inner)),
    }
}

fn rate(text: &Spanned<String>, key: &str) -> Result<u64, Fault> {
    let rate: Result<Rate, _> = text.get_ref().parse();
    rate.map(|rate| bits_per_second(rate.bytes_per_second()))
        .map_err(|error| Fault::of(text, format!("`{key}`: {error}")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::Config;
    use super::*;

    fn parse(tables: &str) -> Result<SbmConfig, String> {
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n{tables}\n");
        let config = Config::parse(Path::new("pcm.toml"), &text);
        config
            .map(|config| config.sbm)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_rfc_2205_has_it() {
        assert_eq!(parse("").unwrap(), SbmConfig::default());
        assert_eq!(SbmConfig::default().missed_refreshes, 3);
        assert_eq!(SbmConfig::default().max_refresh, Duration::from_secs(3600));
    }

    #[test]
    fn durations_and_rates_have_units() {
        let config = parse(
            "[sbm]\nmax_refresh = '10 min'\nmax_flow_duration = '1 hour 30 min'\nmax_flows = 7\nmissed_refreshes = 5\n\
             [interface.2]\nbandwidth = '10 Mbit/s'\nmax_per_flow = '64 kbit/s'\n\
             [interface.'2001:db8::1']\nbandwidth = '1 Gbit/s'\npreemption = true\n\
             [interface.'*']\nbandwidth = '0 bit/s'\n",
        )
        .unwrap();
        assert_eq!(config.max_refresh, Duration::from_secs(600));
        assert_eq!(config.max_flow_duration, Some(Duration::from_secs(5400)));
        assert_eq!((config.max_flows, config.missed_refreshes), (7, 5));
        let pool = |wanted| {
            config
                .interfaces
                .iter()
                .find(|(name, _)| *name == wanted)
                .unwrap()
                .1
        };
        assert_eq!(pool(InterfaceName::Index(2)).bandwidth, 10_000_000);
        assert_eq!(pool(InterfaceName::Index(2)).max_per_flow, Some(64_000));
        let address = InterfaceName::Address("2001:db8::1".parse().unwrap());
        assert_eq!(pool(address).bandwidth, 1_000_000_000);
        assert!(pool(address).preemption);
        assert_eq!(pool(InterfaceName::Any).bandwidth, 0);
    }

    #[test]
    fn faults_name_line_and_key() {
        for (tables, line, fault) in [
            ("[sbm]\nmissed_refreshes = 0", 5, "`missed_refreshes` is 0"),
            ("[sbm]\nmax_flows = 0", 5, "`max_flows` is 0"),
            ("[sbm]\nmax_flows = -1", 5, "-1"),
            ("[sbm]\nmax_refresh = 'long'", 5, "`max_refresh`"),
            ("[sbm]\nmax_flow_duration = 'long'", 5, "90 min"),
            ("[sbm]\nmax_flow_duration = '-8h'", 5, "90 min"),
            ("[sbm]\nmax_flow_duration = '0s'", 5, "90 min"),
            ("[interface.1]\nbandwidth = 'much'", 5, "`bandwidth`"),
            (
                "[interface.1]\nbandwidth = '1 B/s'\nmax_per_flow = ''",
                6,
                "`max_per_flow`",
            ),
            ("[interface.eth0]\nbandwidth = '1 B/s'", 4, "\"eth0\""),
            ("[interface.1]\n", 4, "`bandwidth`"),
            ("[interface.0]\nbandwidth = '1 B/s'", 4, "counts from 1"),
            (
                "[interface.1]\nbandwidth = '1 B/s'\n[interface.01]\nbandwidth = '2 B/s'",
                4,
                "a second table for the interface 1",
            ),
            ("[interface.00]\nbandwidth = '1 B/s'", 4, "counts from 1"),
            (
                "[interface.1]\nbandwidth = '1 Mbit/s'\nmax_per_flow = '2 Mbit/s'",
                6,
                "`max_per_flow` is 2 Mbit/s, more than the `bandwidth` 1 Mbit/s",
            ),
        ] {
            let error = parse(tables).unwrap_err();
            assert!(
                error.contains(&format!("line {line}")) && error.contains(fault),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

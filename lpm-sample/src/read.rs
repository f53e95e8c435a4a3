//! From the text of a policy to its rules.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use lpm_api::LpmPolicyError::{self, NoPrivileges, UnknownUser};
use lpm_api::{Name, Scope};
use toml::Spanned;

use crate::listed::Listed;
use crate::places::{Member, Places};
use crate::policy::{Policy, Rule};
use crate::section::{File, Section};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A fault in the text of the policy: `office.toml:12: max_flows in [[user]]: …`.
    #[error("{source_name}:{line}: {place:.100}{problem:.300}")]
    Fault {
        /// The text's name: a file, or what the PCM says the configuration comes from.
        source_name: String,
        /// The line of the fault, from 1.
        line: usize,
        /// The key and section of the fault, as a prefix of the message.
        place: String,
        /// What is wrong, and what would be accepted.
        problem: String,
    },
    /// The policy file cannot be read.
    #[error("cannot read the policy file {}, which {named_in} names: {error}", .path.display())]
    Read {
        /// The file, with its folder.
        path: PathBuf,
        /// Where the configuration comes from.
        named_in: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl Policy {
    /// Reads a policy from its text; `source` names the text in errors, such as the file's path.
    ///
    /// # Errors
    /// The first thing wrong with the text, with its line and what would be accepted instead.
    pub fn parse(source: &str, text: &str) -> Result<Self, PolicyError> {
        let text = Text { source, text };
        text.policy(&text.parse()?)
    }

    /// The policy of a configuration: its text, or that of the file which it names.
    ///
    /// `source` says in errors where the configuration comes from. A relative path is meant from
    /// `folder`, or else from the working directory.
    ///
    /// # Errors
    /// A file cannot be read, or there is a fault in one of the texts.
    pub fn configured(
        config: &str,
        source: &str,
        folder: Option<&Path>,
    ) -> Result<Self, PolicyError> {
        let text = Text {
            source,
            text: config,
        };
        let file = text.parse()?;
        let Some(name) = &file.policy_file else {
            return text.policy(&file);
        };
        if let Some(section) = file.sections().next() {
            let problem = "the policy is in the file that policy_file names; remove one of them";
            return Err(text.fault(section.span(), problem));
        }
        let path = folder.map_or_else(|| name.get_ref().into(), |it| it.join(name.get_ref()));
        let read = std::fs::read_to_string(&path).map_err(|error| PolicyError::Read {
            path: path.clone(),
            named_in: source.to_owned(),
            error,
        });
        Self::parse(&path.display().to_string(), &read?)
    }
}

/// A policy file, and what it is called in errors.
struct Text<'a> {
    source: &'a str,
    text: &'a str,
}

impl Text<'_> {
    fn parse(&self) -> Result<File, PolicyError> {
        let parsed = toml::from_str(self.text);
        parsed.map_err(|error: toml::de::Error| {
            self.fault(error.span().unwrap_or_default(), error.message())
        })
    }

    fn policy(&self, file: &File) -> Result<Policy, PolicyError> {
        if let Some(name) = &file.policy_file {
            return Err(self.fault(name.span(), "a policy file names no other one"));
        }
        if file.sections().next().is_none() {
            let expected = "[default], [unauthenticated], [[user]], [[application]]";
            let problem = format!("the policy has no rules: expected at least one of {expected}");
            return Err(self.fault(0..0, &problem));
        }
        for section in file.sections() {
            if section.get_ref().priority.is_some() && section.get_ref().reject.is_some() {
                let problem = "a rule has a priority or a reason to reject, not both";
                return Err(self.fault(section.span(), problem));
            }
        }
        let nobody = Section::default();
        let default = file.default.as_ref().map_or(&nobody, Spanned::get_ref);
        let lines = Lines::of(self.text);
        let line = |section: &Option<Spanned<Section>>| {
            let section = section.as_ref();
            section.map_or(0, |section| lines.of_byte(section.span().start))
        };
        let mut places = Places {
            source: self.source.into(),
            default: line(&file.default),
            unauthenticated: line(&file.unauthenticated),
            ..Places::default()
        };
        let groups = self.groups(&file.group)?;
        let members = |sections, places| self.members(sections, &groups, default, &lines, places);
        let (users, user_rules) = members(&file.user, &mut places.users)?;
        let (applications, application_rules) =
            members(&file.application, &mut places.applications)?;
        let unnamed = Scope::GlobalUnauthenticated;
        Ok(Policy {
            users,
            user_rules,
            applications,
            application_rules,
            default: self.standing(&file.default, Scope::GlobalDefault, UnknownUser)?,
            unauthenticated: self.standing(&file.unauthenticated, unnamed, NoPrivileges)?,
            places,
        })
    }

    /// `[default]` or `[unauthenticated]`, which inherit nothing.
    fn standing(
        &self,
        section: &Option<Spanned<Section>>,
        scope: Scope,
        where_missing: LpmPolicyError,
    ) -> Result<Rule, PolicyError> {
        let Some(section) = section else {
            return Ok(Rule::rejecting(where_missing));
        };
        self.unexpected(section, [true, true, true, true])?;
        let rule = Rule::of(&[(section.get_ref(), scope)]);
        rule.ok_or_else(|| self.fault(section.span(), NO_OUTCOME))
    }

    fn groups<'a>(
        &self,
        sections: &'a [Spanned<Section>],
    ) -> Result<HashMap<&'a str, &'a Spanned<Section>>, PolicyError> {
        let mut groups = HashMap::new();
        for section in sections {
            self.unexpected(section, [false, true, true, true])?;
            let Some(name) = &section.get_ref().name else {
                return Err(self.fault(section.span(), "the key name is missing"));
            };
            if groups.insert(name.get_ref().as_str(), section).is_some() {
                return Err(self.twice(name));
            }
        }
        Ok(groups)
    }

    /// The users or the applications: who they are, and the rule of each; to `places` goes where
    /// they stand.
    fn members(
        &self,
        sections: &[Spanned<Section>],
        groups: &HashMap<&str, &Spanned<Section>>,
        default: &Section,
        lines: &Lines,
        places: &mut Vec<Member>,
    ) -> Result<(Listed, Vec<Rule>), PolicyError> {
        let mut listed = Listed::default();
        let mut rules = Vec::with_capacity(sections.len());
        for (section, place) in sections.iter().zip(0..) {
            let span = section.span();
            let member = section.get_ref();
            self.unexpected(section, [true, false, false, false])?;
            if member.dn.is_none() && member.id.is_none() {
                return Err(self.fault(span, "whose rule is this? set dn, id or both"));
            }
            if let Some(dn) = &member.dn {
                let name = Name::dn(dn.get_ref());
                let name = name.map_err(|error| self.fault(dn.span(), &error.to_string()))?;
                self.enter(dn, &name, |name| {
                    listed.enter_dn(name, dn.get_ref(), place).is_some()
                })?;
            }
            if let Some(id) = &member.id {
                let name = Name::id(id.get_ref());
                self.enter(id, &name, |name| listed.enter_id(name, place).is_some())?;
            }
            let mut layers = vec![(member, Scope::GlobalUser)];
            let mut of_group = None;
            if let Some(name) = &member.group {
                let unknown = || {
                    let problem = format!("there is no group {:?}", name.get_ref());
                    self.fault(name.span(), &problem)
                };
                let group = groups.get(name.get_ref().as_str()).ok_or_else(unknown)?;
                layers.push((group.get_ref(), Scope::GlobalGroup));
                let heading = format!("[[group]] {:?}", name.get_ref());
                of_group = Some((heading.into(), lines.of_byte(group.span().start)));
            }
            layers.push((default, Scope::GlobalDefault));
            rules.push(Rule::of(&layers).ok_or_else(|| self.fault(span.clone(), NO_OUTCOME))?);
            let outcome = layers
                .iter()
                .find(|(section, _)| section.outcome().is_some());
            let name = member.id.as_ref().or(member.dn.as_ref());
            places.push(Member {
                name: name.map_or("", |name| name.get_ref()).into(),
                line: lines.of_byte(span.start),
                group: of_group,
                outcome: outcome.map_or(Scope::GlobalDefault, |(_, scope)| *scope),
            });
        }
        listed.shrink_to_fit();
        Ok((listed, rules))
    }

    fn enter(
        &self,
        written: &Spanned<String>,
        name: &Name,
        enter: impl FnOnce(&Name) -> bool,
    ) -> Result<(), PolicyError> {
        if name.is_empty() {
            return Err(self.fault(written.span(), "the name is empty"));
        }
        enter(name).then_some(()).ok_or_else(|| self.twice(written))
    }

    fn twice(&self, name: &Spanned<String>) -> PolicyError {
        let problem = "is listed twice; names that differ only in case or spacing are the same";
        self.fault(name.span(), &format!("{:?} {problem}", name.get_ref()))
    }

    /// Keys that this kind of section does not have: which of name, dn, id and group.
    fn unexpected(&self, section: &Spanned<Section>, keys: [bool; 4]) -> Result<(), PolicyError> {
        let Section {
            name,
            dn,
            id,
            group,
            ..
        } = section.get_ref();
        let there = [name, dn, id, group].into_iter().zip(keys);
        match there
            .filter(|(_, unexpected)| *unexpected)
            .find_map(|(key, _)| key.as_ref())
        {
            Some(key) => Err(self.fault(key.span(), "unknown key in a section of this kind")),
            None => Ok(()),
        }
    }

    /// A fault at these bytes of the text. The key is that of the line, its section the one above.
    fn fault(&self, span: Range<usize>, problem: &str) -> PolicyError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let start_of_line = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.text[start_of_line..];
        let line = rest.lines().next().unwrap_or_default();
        let mut lines = [line]
            .into_iter()
            .chain(before.lines().rev())
            .map(str::trim);
        let heading = lines.find(|line| line.starts_with('[')).unwrap_or_default();
        let place = match line.split_once('=') {
            Some((key, _)) if !heading.is_empty() => format!("{} in {heading}: ", key.trim()),
            _ if heading.is_empty() => String::new(),
            _ => format!("{heading}: "),
        };
        PolicyError::Fault {
            source_name: self.source.to_owned(),
            line: before.matches('\n').count() + 1,
            place,
            problem: problem.to_owned(),
        }
    }
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    fn of_byte(&self, at: usize) -> u32 {
        let before = self.0.partition_point(|end| *end < at);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

const NO_OUTCOME: &str = "neither priority nor reject is set, here or where it inherits from; set one of them \
                          here, in its group or in [default]";

impl File {
    /// All sections, of whatever kind.
    fn sections(&self) -> impl Iterator<Item = &Spanned<Section>> {
        let lists = [&self.group, &self.user, &self.application];
        let standing = [&self.default, &self.unauthenticated];
        let lists = lists.into_iter().flatten();
        standing.into_iter().flatten().chain(lists)
    }
}

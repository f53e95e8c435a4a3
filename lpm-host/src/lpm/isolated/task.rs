//! What a runner is told first: which library to load, and how to initialize its LPM; and what it
//! says of that.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use abi_stable::std_types::RStr;
use lpm_abi::{AbiCallbacks, AbiInit};

use super::super::trust::LpmLibrary;
use super::super::trust::requirements::Requirements;
use super::words::{Malformed, Put, Take, line};
use crate::confinement::{Confinement, Files};

/// What to run.
pub(crate) struct Task<'a> {
    pub(crate) library: LpmLibrary,
    pub(crate) confinement: Confinement,
    /// The most verbose level that the PCM wants.
    pub(crate) level: u32,
    pub(crate) init: AbiInit<'a>,
}

pub(crate) fn put_task(
    put: &mut Put<'_>,
    library: &LpmLibrary,
    confinement: &Confinement,
    level: u32,
    init: &AbiInit<'_>,
) {
    put_path(put, library.path());
    let (kept_safe, sha256, keys) = library.requirements().parts();
    put.number(kept_safe).number(sha256.is_some());
    put.plain(sha256.map_or(&[][..], |sum| &sum[..]));
    put.number(keys.is_some());
    let keys = keys.unwrap_or_default();
    put.number(keys.len() as u64);
    for key in keys {
        put.text(key);
    }
    put_confinement(put, confinement);
    put.number(level);
    put.number(init.handle).number(init.result_time_limit);
    put.number(init.lpm_count).number(init.pcm_version);
    put.text(&init.name).text(&init.config);
    put.text(&init.config_source);
    let dir = init.config_dir.into_option();
    put.number(dir.is_some()).text(&dir.unwrap_or_default());
}

impl<'a> Task<'a> {
    pub(crate) fn take(take: &mut Take<'a>, callbacks: AbiCallbacks) -> Result<Self, Malformed> {
        let path = take_path(take)?;
        let kept_safe = take.flag()?;
        let has_sum = take.flag()?;
        let sum = take.plain::<u8>()?;
        let sha256 = match has_sum {
            true => Some(sum.try_into().map_err(|_| Malformed)?),
            false => None,
        };
        let has_keys = take.flag()?;
        let keys = take.list(|take| take.text().map(str::to_owned))?;
        let requirements = Requirements::of_parts(kept_safe, sha256, has_keys.then_some(keys));
        // SAFETY: whoever wrote the task is the PCM that started this process, and whose user
        // vouches for the library.
        let library = unsafe { LpmLibrary::trust(path) }.require(requirements);
        let confinement = take_confinement(take)?;
        let level = take.narrow()?;
        let (handle, result_time_limit) = (take.number()?, take.number()?);
        let (lpm_count, pcm_version) = (take.narrow()?, take.narrow()?);
        let (name, config) = (take.text()?, take.text()?);
        let config_source = take.text()?;
        let has_dir = take.flag()?;
        let dir = RStr::from_str(take.text()?);
        Ok(Self {
            library,
            confinement,
            level,
            init: AbiInit {
                handle,
                result_time_limit,
                lpm_count,
                pcm_version,
                name: name.into(),
                config: config.into(),
                config_source: config_source.into(),
                config_dir: has_dir.then_some(dir).into(),
                callbacks,
            },
        })
    }
}

fn put_confinement(put: &mut Put<'_>, to: &Confinement) {
    let cpu_time = to.cpu_time.map(|time| time.as_secs());
    for limit in [to.memory, cpu_time, to.open_files] {
        put_if(put, limit);
    }
    put.number(to.no_new_processes).number(to.no_network);
    put.number(to.files.is_some());
    let files = to.files.clone().unwrap_or_default();
    for paths in [files.read, files.write] {
        put.number(paths.len() as u64);
        for path in paths {
            put_path(put, &path);
        }
    }
    put_if(put, to.user.map(|(user, _)| user.into()));
    put_if(put, to.user.map(|(_, group)| group.into()));
}

fn put_if(put: &mut Put<'_>, number: Option<u64>) {
    put.number(number.is_some());
    put.number(number.unwrap_or_default());
}

fn take_confinement(take: &mut Take<'_>) -> Result<Confinement, Malformed> {
    let (memory, cpu_time, open_files) = (take_if(take)?, take_if(take)?, take_if(take)?);
    let (no_new_processes, no_network) = (take.flag()?, take.flag()?);
    let has_files = take.flag()?;
    let path = |take: &mut Take<'_>| take_path(take).map(Into::into);
    let (read, write) = (take.list(path)?, take.list(path)?);
    let narrow = |number: u64| u32::try_from(number).map_err(|_| Malformed);
    let user = match (take_if(take)?, take_if(take)?) {
        (Some(user), Some(group)) => Some((narrow(user)?, narrow(group)?)),
        _ => None,
    };
    Ok(Confinement {
        memory,
        cpu_time: cpu_time.map(Duration::from_secs),
        open_files,
        no_new_processes,
        no_network,
        files: has_files.then_some(Files { read, write }),
        user,
    })
}

fn take_if(take: &mut Take<'_>) -> Result<Option<u64>, Malformed> {
    let (is_there, number) = (take.flag()?, take.number()?);
    Ok(is_there.then_some(number))
}

#[cfg(unix)]
fn put_path(put: &mut Put<'_>, path: &Path) {
    use std::os::unix::ffi::OsStrExt;

    put.plain(path.as_os_str().as_bytes());
}

#[cfg(unix)]
fn take_path(take: &mut Take<'_>) -> Result<OsString, Malformed> {
    use std::os::unix::ffi::OsStringExt;

    Ok(OsString::from_vec(take.plain()?.to_vec()))
}

#[cfg(windows)]
fn put_path(put: &mut Put<'_>, path: &Path) {
    use std::os::windows::ffi::OsStrExt;

    let wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    put.plain(&wide);
}

#[cfg(windows)]
fn take_path(take: &mut Take<'_>) -> Result<OsString, Malformed> {
    use std::os::windows::ffi::OsStringExt;

    Ok(OsString::from_wide(take.plain()?))
}

/// What a runner says of an LPM that is initialized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) pe_type: u32,
    /// Whether it is one against `lpmapi.h`.
    pub(crate) is_in_c: bool,
    pub(crate) version: Option<String>,
    pub(crate) offers_statistics: bool,
    pub(crate) offers_reasons: bool,
    pub(crate) offers_hand_over: bool,
}

impl Description {
    /// An LPM that is known by the type that it returned, and by nothing else.
    pub(crate) const fn of_type(pe_type: u32) -> Self {
        Self {
            pe_type,
            is_in_c: false,
            version: None,
            offers_statistics: false,
            offers_reasons: false,
            offers_hand_over: false,
        }
    }

    pub(crate) fn put(&self, put: &mut Put<'_>) {
        put.number(self.pe_type).number(self.is_in_c);
        put.number(self.offers_statistics);
        put.number(self.offers_reasons);
        put.number(self.offers_hand_over);
        put.number(self.version.is_some());
        put.text(self.version.as_deref().unwrap_or_default());
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, Malformed> {
        let (pe_type, is_in_c) = (take.narrow()?, take.flag()?);
        let (offers_statistics, offers_reasons) = (take.flag()?, take.flag()?);
        let offers_hand_over = take.flag()?;
        let (has_version, version) = (take.flag()?, take.text()?);
        Ok(Self {
            pe_type,
            is_in_c,
            version: has_version.then(|| line(version).chars().take(100).collect()),
            offers_statistics,
            offers_reasons,
            offers_hand_over,
        })
    }
}

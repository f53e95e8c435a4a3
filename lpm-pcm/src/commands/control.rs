//! `pcm status`, `pcm sessions`, `pcm metrics`, `pcm reload`, `pcm demote` and `pcm become-dsbm`:
//! ask a `pcm run` over its control socket.

#[cfg(not(unix))]
use std::error::Error;
use std::path::PathBuf;
#[cfg(not(unix))]
use std::process::ExitCode;

/// Ask a running `pcm run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The control socket: what `control` in `[run]` of its configuration says
    #[arg(long, value_name = "PATH", default_value = "/run/pcm/control")]
    pub socket: PathBuf,

    /// Print the answer as it comes, one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Ask a running `pcm run` what it keeps.
#[derive(Debug, clap::Args)]
pub struct SessionsArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub ask: Args,

    /// Only sessions with this user in them
    #[arg(long, value_name = "DN")]
    pub user: Option<String>,
}

/// Runs `pcm status`.
///
/// # Errors
/// Nobody serves the socket.
#[cfg(not(unix))]
pub fn status(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err(ELSEWHERE.into())
}

/// Runs `pcm reload`.
///
/// # Errors
/// Nobody serves the socket.
#[cfg(not(unix))]
pub fn reload(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err(ELSEWHERE.into())
}

/// Runs `pcm metrics`.
///
/// # Errors
/// Nobody serves the socket.
#[cfg(not(unix))]
pub fn metrics(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err(ELSEWHERE.into())
}

/// Runs `pcm demote`.
///
/// # Errors
/// Nobody serves the socket.
#[cfg(not(unix))]
pub fn demote(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err(ELSEWHERE.into())
}

/// Runs `pcm become-dsbm`.
///
/// # Errors
/// Nobody serves the socket.
#[cfg(not(unix))]
pub fn become_dsbm(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err(ELSEWHERE.into())
}

/// Runs `pcm sessions`.
///
/// # Errors
/// Nobody serves the socket.
#[cfg(not(unix))]
pub fn sessions(_: &SessionsArgs) -> Result<ExitCode, Box<dyn Error>> {
    Err(ELSEWHERE.into())
}

#[cfg(not(unix))]
const ELSEWHERE: &str = "pcm run, and the commands that ask it, need Linux";

#[cfg(unix)]
pub use unix::{become_dsbm, demote, metrics, reload, sessions, status};

#[cfg(unix)]
mod unix {
    use std::error::Error;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::Duration;

    use serde_json::Value;

    use super::{Args, SessionsArgs};
    use crate::output::plain::{self, Plain};

    /// Runs `pcm status`.
    ///
    /// # Errors
    /// Nobody serves the socket, or the output cannot be written.
    pub fn status(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
        let reply = ask(&args.socket, "status")?;
        if args.json {
            return print_json(&reply);
        }
        let status = &reply["status"];
        let mut text = format!(
            "serving for {} s, {}, {} sessions, {} flows, {}\n",
            status["uptime"],
            word(&status["phase"]).replace('_', " "),
            status["sessions"],
            status["flows"],
            match status["enforce"].as_bool() {
                Some(true) => "reserved in the kernel",
                _ => "counted only",
            }
        );
        for lpm in rows(&status["lpms"]) {
            let (name, source) = (Plain(word(&lpm["name"])), Plain(word(&lpm["source"])));
            let version = lpm["version"].as_str().map(|version| format!(" {version}"));
            let process = lpm["process"].as_u64();
            let process = process.map_or_else(String::new, |id| format!(", in process {id}"));
            let ended = match lpm["process_ends"].as_u64() {
                None | Some(0) => String::new(),
                Some(1) => ", whose process has ended once".to_owned(),
                Some(times) => format!(", whose process has ended {times} times"),
            };
            text.push_str(&format!(
                "LPM {name}: {}, {} requests open, {source}{}{process}{ended}\n",
                word(&lpm["health"]).replace('_', " "),
                lpm["open_requests"],
                Plain(&version.unwrap_or_default()),
            ));
        }
        for library in rows(&status["pinned"]) {
            text.push_str(&format!("stays mapped: {}\n", Plain(word(library))));
        }
        for interface in rows(&status["interfaces"]) {
            let name = Plain(word(&interface["name"])).to_string();
            text.push_str(&format!(
                "{name}: {} bit/s reserved\n",
                interface["reserved"]
            ));
        }
        for dropped in rows(&status["dropped"]) {
            text.push_str(&format!("dropped: {} {}\n", dropped[1], word(&dropped[0])));
        }
        print(&text)
    }

    /// Runs `pcm reload`.
    ///
    /// # Errors
    /// Nobody serves the socket, or the configuration is not taken.
    pub fn reload(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
        let reply = ask(&args.socket, "reload")?;
        let but = rows(&reply["reloaded"]).map(|line| format!("{}\n", Plain(word(line))));
        let done = but.collect::<String>() + "reloaded: the LPMs of the configuration run\n";
        told(args, &reply, &done)
    }

    /// Runs `pcm metrics`.
    ///
    /// # Errors
    /// Nobody serves the socket, or the output cannot be written.
    pub fn metrics(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
        let reply = ask(&args.socket, "metrics")?;
        match args.json {
            true => print_json(&reply),
            false => {
                let lines = word(&reply["metrics"]).lines();
                print(
                    &lines
                        .map(|line| format!("{}\n", Plain(line)))
                        .collect::<String>(),
                )
            }
        }
    }

    /// Runs `pcm demote`.
    ///
    /// # Errors
    /// Nobody serves the socket, or the LPMs are not in charge.
    pub fn demote(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
        let done = "demoted: the LPMs are stopped, and all reservations are released\n";
        change(args, "demote", done)
    }

    /// Runs `pcm become-dsbm`.
    ///
    /// # Errors
    /// Nobody serves the socket, or the LPMs do not start.
    pub fn become_dsbm(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
        let done = "in charge: the LPMs are initialized\n";
        change(args, "become-dsbm", done)
    }

    /// Asks for a change, and says that it was made.
    fn change(args: &Args, question: &str, done: &str) -> Result<ExitCode, Box<dyn Error>> {
        told(args, &ask(&args.socket, question)?, done)
    }

    /// Says that a change was made, or why not.
    fn told(args: &Args, reply: &Value, done: &str) -> Result<ExitCode, Box<dyn Error>> {
        match reply["refused"].as_str() {
            Some(_) if args.json => print_json(reply).map(|_| ExitCode::FAILURE),
            Some(why) => Err(Plain(why).to_string().into()),
            None if args.json => print_json(reply),
            None => print(done),
        }
    }

    /// Runs `pcm sessions`.
    ///
    /// # Errors
    /// Nobody serves the socket, or the output cannot be written.
    pub fn sessions(args: &SessionsArgs) -> Result<ExitCode, Box<dyn Error>> {
        let mut reply = ask(&args.ask.socket, "sessions")?;
        if let (Some(user), Some(all)) = (&args.user, reply["sessions"].as_array_mut()) {
            let user = &user.to_lowercase();
            let has_user =
                |of: &Value| rows(&of["users"]).any(|name| word(name).to_lowercase() == *user);
            all.retain(|session| {
                rows(&session["senders"]).any(has_user)
                    || rows(&session["reservations"]).any(has_user)
            });
        }
        if args.ask.json {
            return print_json(&reply);
        }
        let mut text = String::new();
        for session in rows(&reply["sessions"]) {
            text.push_str(&format!("{}\n", word(&session["session"])));
            for sender in rows(&session["senders"]) {
                text.push_str(&format!(
                    "  from {} by {}{}\n",
                    word(&sender["sender"]),
                    word(&sender["previous_hop"]),
                    users(sender),
                ));
            }
            for resv in rows(&session["reservations"]) {
                text.push_str(&format!(
                    "  {} {} bit/s for {}, priority {}{}\n",
                    word(&resv["style"]),
                    resv["rate"],
                    word(&resv["next_hop"]),
                    resv["priority"],
                    users(resv),
                ));
            }
        }
        print(&text)
    }

    /// Asks, and reads the answer.
    fn ask(socket: &Path, question: &str) -> Result<Value, Box<dyn Error>> {
        let fault = |error: std::io::Error| {
            let path = socket.display();
            format!("{path}: {error}; is pcm run there, with this `control` in its [run]?")
        };
        let mut stream = UnixStream::connect(socket).map_err(fault)?;
        // LPMs may take their time to start and to stop.
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        stream
            .write_all(format!("{question}\n").as_bytes())
            .map_err(fault)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(fault)?;
        Ok(serde_json::from_str(&answer)?)
    }

    fn rows(value: &Value) -> impl Iterator<Item = &Value> {
        value.as_array().into_iter().flatten()
    }

    fn word(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }

    fn users(of: &Value) -> String {
        let users = rows(&of["users"]).map(|user| format!(", {}", Plain(word(user))));
        users.collect()
    }

    fn print_json(reply: &Value) -> Result<ExitCode, Box<dyn Error>> {
        print(&(plain::json(reply) + "\n"))
    }

    fn print(text: &str) -> Result<ExitCode, Box<dyn Error>> {
        anstream::stdout().lock().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

//! Three network namespaces in a row, with `pcm run` in the middle one.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::config::{Config, LpmLocation};

/// The sender's address.
pub(super) const SENDER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
/// The router's addresses, on the sender's side and on the receiver's.
pub(super) const ROUTER: [Ipv4Addr; 2] =
    [Ipv4Addr::new(10, 77, 1, 254), Ipv4Addr::new(10, 77, 2, 254)];
/// The receiver's address.
pub(super) const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);

const POLICY: &str = "\
[default]\npriority = 10\nmax_flows = 10\nmax_flow_rate = '100 Mbit/s'\n\
[[user]]\ndn = 'CN=Eve'\nreject = 'no_privileges'\n";

/// The namespaces; deleted when it is dropped.
pub(super) struct Network {
    names: [String; 3],
    folder: TempDir,
}

impl Network {
    /// Makes them.
    pub(super) fn make() -> Result<Self, Box<dyn Error>> {
        if !nix::unistd::Uid::effective().is_root() {
            return Err(
                "lab needs root: it makes network namespaces, and touches nothing else".into(),
            );
        }
        let names = ["sender", "router", "receiver"];
        let network = Self {
            names: names.map(|name| format!("pcmlab{}{name}", std::process::id())),
            folder: tempfile::tempdir()?,
        };
        let [s, r, d] = &network.names;
        for name in [s, r, d] {
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
        }
        ip(&format!(
            "link add s0 netns {s} type veth peer name r0 netns {r}"
        ))?;
        ip(&format!(
            "link add r1 netns {r} type veth peer name d0 netns {d}"
        ))?;
        for (name, link, address) in [
            (s, "s0", SENDER),
            (r, "r0", ROUTER[0]),
            (r, "r1", ROUTER[1]),
            (d, "d0", RECEIVER),
        ] {
            ip(&format!("-n {name} addr add {address}/24 dev {link}"))?;
            ip(&format!("-n {name} link set {link} up"))?;
        }
        ip(&format!("-n {s} route add default via {}", ROUTER[0]))?;
        ip(&format!("-n {d} route add default via {}", ROUTER[1]))?;
        within(r, || fs::write("/proc/sys/net/ipv4/ip_forward", "1"))??;
        Ok(network)
    }

    /// The sender's namespace.
    pub(super) fn sender(&self) -> &str {
        &self.names[0]
    }

    /// The receiver's namespace.
    pub(super) fn receiver(&self) -> &str {
        &self.names[2]
    }

    /// Runs `pcm run` on the router, and waits until it serves.
    pub(super) fn run_pcm(&self) -> Result<Router, Box<dyn Error>> {
        let lpm = Config::embedded().lpms.remove(0);
        let LpmLocation::Library(library) = lpm.library else {
            return Err("lab needs the library of the sample LPM beside this program".into());
        };
        let config = self.folder.path().join("pcm.toml");
        let text = format!(
            "[[lpm]]\nname = 'sample'\nlibrary = {library:?}\nconfig = {POLICY:?}\n\
             [run]\nenforce = true\n[interface.'{}']\nbandwidth = '10 Mbit/s'\n",
            ROUTER[1]
        );
        fs::write(&config, text)?;
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.names[1]])
            .arg(std::env::current_exe()?)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take();
        let mut router = Router(child);
        let mut said = String::new();
        let lines = stderr.map(BufReader::new).map(BufReader::lines);
        let mut lines = lines.into_iter().flatten().map_while(Result::ok);
        loop {
            match lines.next() {
                Some(line) if line.contains("RSVP on r1") => break,
                Some(line) => said.push_str(&format!("\n{line}")),
                None => {
                    let status = router.0.wait()?;
                    return Err(format!("pcm run does not start ({status}):{said}").into());
                }
            }
        }
        // What it says later is nobody's business, but has to go somewhere.
        thread::spawn(move || lines.for_each(drop));
        Ok(router)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was not made cannot be deleted.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// `pcm run` on the router; ends when it is dropped.
pub(super) struct Router(Child);

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does something in a namespace. Sockets that are opened there stay there.
pub(super) fn within<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Box<dyn Error>> {
    let file = File::open(Path::new("/run/netns").join(name))?;
    let thread = thread::spawn(move || setns(file, CloneFlags::CLONE_NEWNET).map(|()| work()));
    let done = thread.join().map_err(|_| "a thread of the lab panicked")?;
    Ok(done?)
}

fn ip(words: &str) -> Result<(), Box<dyn Error>> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("ip cannot be run: {error} (iproute2)"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {words}: {}", said.trim()).into())
}

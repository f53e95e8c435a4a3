//! `compared` prints the table; `compared NAME plain|ours` runs one scenario in this process.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    use lpm_compared::{Scenario, Way, child, table};

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => println!(
            "{}",
            table::of(&table::results(
                &std::env::current_exe().expect("this program")
            ))
        ),
        [name, way] => {
            let way = match *way {
                "plain" => Way::Plain,
                "ours" => Way::Ours,
                other => panic!("expected `plain` or `ours`, found `{other}`"),
            };
            let scenario = Scenario::of(name).expect("a scenario of this name");
            // SAFETY: the scenarios are this project's own.
            unsafe { child::run(&scenario, way) };
        }
        _ => eprintln!("expected nothing, or the name of a scenario and `plain` or `ours`"),
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    eprintln!("this is for Linux with glibc");
}

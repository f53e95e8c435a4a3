//! Whatever a process says that runs an LPM, and whatever it answers, the PCM neither crashes nor
//! hangs.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, said)) = bytes.split_first() else {
        return;
    };
    #[cfg(all(fuzzing, target_os = "linux"))]
    match what % 2 {
        0 => lpm_host::fuzzing::hear(said),
        _ => {
            let word = |word: &[u8]| u64::from_ne_bytes(word.try_into().unwrap_or_default());
            let words: Vec<u64> = said.chunks_exact(8).map(word).collect();
            lpm_host::fuzzing::answer(&words);
        }
    }
    #[cfg(not(all(fuzzing, target_os = "linux")))]
    let _ = (what, said);
});

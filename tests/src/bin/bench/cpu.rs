//! The processor: a server's time on it, that of its process and of all its descendants; and who else wants it.

use std::collections::HashMap;

/// The processor time used so far by the process `root` and its living descendants, in seconds (proc_pid_stat(5),
/// `utime` and `stime`). Work that the kernel does for them in interrupts is not in it.
pub(crate) fn seconds(root: u32) -> f64 {
    let processes = processes();
    let mut ticks = 0;
    let mut family = vec![root];
    while let Some(parent) = family.pop() {
        ticks += processes.get(&parent).map_or(0, |process| process.ticks);
        family.extend(processes.iter().filter(|(_, process)| process.parent == parent).map(|(id, _)| *id));
    }
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// How many tasks wanted a processor during the last minute, on average (proc_loadavg(5)).
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

struct Process {
    parent: u32,
    ticks: u64,
}

fn processes() -> HashMap<u32, Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            Some((id, parse(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

/// The name, in parentheses, may hold anything; the fields after it are separated by spaces.
fn parse(stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Process { parent: u32::try_from(field(4)?).ok()?, ticks: field(14)? + field(15)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let process = parse("17 (a) (b c) S 3 17 17 0 -1 4194304 1 2 3 4 500 70 8 9 20 0 1 0 100").unwrap();
        assert_eq!((process.parent, process.ticks), (3, 570));
    }
}

use super::*;
use std::fs::OpenOptions;
use std::io::Write as _;
use tempfile::TempDir;

struct Watched {
    directory: TempDir,
    files: LabelFiles,
    ids: Vec<String>,
    bad: Vec<String>,
}

impl Watched {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = LabelFiles::open(directory.path().join("places.json"));
        Self { directory, files, ids: Vec::new(), bad: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// What came since, by its ids.
    fn poll(&mut self) -> Vec<String> {
        self.poll_at(SystemTime::UNIX_EPOCH)
    }

    fn poll_at(&mut self, now: SystemTime) -> Vec<String> {
        let patterns = [self.path("*.jsonl*"), self.path("*.csv")];
        let (ids, bad) = (&mut self.ids, &mut self.bad);
        self.files.poll(&patterns, now, &mut |path, parsed| {
            let name = path.file_name().unwrap().to_str().unwrap();
            ids.extend(parsed.labels.into_iter().map(|label| label.id));
            bad.extend(parsed.bad.iter().map(|bad| format!("{name} {bad}")));
        });
        // Files of one moment have no order.
        self.ids.sort();
        std::mem::take(&mut self.ids)
    }

    fn restart(&mut self) {
        self.files = LabelFiles::open(self.path("places.json"));
    }
}

fn line(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"label\":1}}\n")
}

#[test]
fn a_line_is_read_once_as_its_file_grows() {
    let mut watched = Watched::new();
    assert_eq!(watched.poll(), [""; 0]);
    watched.append("a.jsonl", &line("1"));
    assert_eq!(watched.poll(), ["1"]);
    assert_eq!(watched.poll(), [""; 0]);
    watched.append("a.jsonl", &line("2")[..9]);
    assert_eq!(watched.poll(), [""; 0]);
    watched.append("a.jsonl", &(line("2")[9..].to_owned() + &line("3")));
    assert_eq!(watched.poll(), ["2", "3"]);
    watched.restart();
    assert_eq!(watched.poll(), [""; 0]);
    watched.append("a.jsonl", &line("4"));
    assert_eq!(watched.poll(), ["4"]);
    assert_eq!(watched.bad, [""; 0]);
}

#[test]
fn a_last_line_without_an_end_counts_once_the_file_is_still() {
    let mut watched = Watched::new();
    watched.append("a.jsonl", line("1").trim_end());
    assert_eq!(watched.poll_at(SystemTime::now()), [""; 0]);
    let later = SystemTime::now() + STILL + Duration::from_secs(1);
    assert_eq!(watched.poll_at(later), ["1"]);
    assert_eq!(watched.poll_at(later), [""; 0]);
}

#[test]
fn a_file_is_known_again_after_every_rotation() {
    let mut watched = Watched::new();
    watched.append("a.jsonl", &(line("1") + &line("2")));
    assert_eq!(watched.poll(), ["1", "2"]);
    // Renamed, with a line that came before; then a new one under the old name.
    watched.append("a.jsonl", &line("3"));
    std::fs::rename(watched.path("a.jsonl"), watched.path("a.jsonl.1")).unwrap();
    watched.append("a.jsonl", &line("4"));
    assert_eq!(watched.poll(), ["3", "4"]);
    // Copied, then cut to nothing, and written anew.
    std::fs::copy(watched.path("a.jsonl"), watched.path("b.jsonl.1")).unwrap();
    std::fs::write(watched.path("a.jsonl"), "").unwrap();
    assert_eq!(watched.poll(), [""; 0]);
    watched.append("a.jsonl", &line("5"));
    assert_eq!(watched.poll(), ["5"]);
    // Removed: nothing. Another file that takes its name, and perhaps its inode, is another.
    std::fs::remove_file(watched.path("a.jsonl")).unwrap();
    assert_eq!(watched.poll(), [""; 0]);
    watched.append("a.jsonl", &line("6"));
    assert_eq!(watched.poll(), ["6"]);
    assert_eq!(watched.bad, [""; 0]);
}

#[test]
fn csv_has_its_header_for_every_piece() {
    let mut watched = Watched::new();
    watched.append("a.csv", "id,label\n1,0\n");
    assert_eq!(watched.poll(), ["1"]);
    watched.append("a.csv", "2,\n3,1\n");
    watched.restart();
    assert_eq!(watched.poll(), ["3"]);
    assert_eq!(watched.bad.len(), 1);
    assert!(watched.bad[0].starts_with("a.csv line 3: `label` is"), "{:?}", watched.bad);
    // Two files with one header are two files.
    watched.append("b.csv", "id,label\n4,0\n");
    assert_eq!(watched.poll(), ["4"]);
}

#[test]
fn a_broken_line_is_told_with_its_file_and_number() {
    let mut watched = Watched::new();
    watched.append("a.jsonl", &(line("1") + "no label\n"));
    watched.append("b.csv", "a,b\n1,2\n");
    assert_eq!(watched.poll(), ["1"]);
    watched.append("a.jsonl", "\n{}\n");
    assert_eq!(watched.poll(), [""; 0]);
    watched.bad.sort();
    let begins =
        ["a.jsonl line 2: is no JSON", "a.jsonl line 4: `id` is missing", "b.csv line 1: "];
    assert_eq!(watched.bad.len(), 3, "{:?}", watched.bad);
    for (bad, begin) in watched.bad.iter().zip(begins) {
        assert!(bad.starts_with(begin), "{bad}");
    }
}

#[test]
fn a_line_that_is_far_too_long_costs_only_itself() {
    let mut watched = Watched::new();
    watched.append("a.jsonl", &line("1"));
    let long = format!("{{\"id\":\"{}\",\"label\":1}}\n", "x".repeat(3 * PIECE_BYTES));
    watched.append("a.jsonl", &(long + &line("2")));
    let mut ids = watched.poll();
    ids.extend(watched.poll());
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(watched.bad.len(), 1, "{:?}", watched.bad);
    assert!(watched.bad[0].contains("line 2: ") && watched.bad[0].contains("longer than 256 KiB"));
    watched.append("a.jsonl", "{}\n");
    watched.poll();
    assert!(watched.bad[1].starts_with("a.jsonl line 4: "), "{:?}", watched.bad);
}

#[test]
fn much_is_read_in_several_polls() {
    let mut watched = Watched::new();
    let lines: String = (0..300_000).map(|n| line(&n.to_string())).collect();
    watched.append("a.jsonl", &lines);
    assert!(lines.len() > POLL_BYTES);
    let first = watched.poll().len();
    assert!(first > 0 && first < 300_000, "{first}");
    let mut rest = 0;
    while rest + first < 300_000 {
        let more = watched.poll().len();
        assert!(more > 0);
        rest += more;
    }
    assert_eq!((rest + first, watched.bad.len()), (300_000, 0));
}

#[test]
fn places_that_cannot_be_kept_cost_no_label() {
    let mut watched = Watched::new();
    std::fs::create_dir(watched.path("places.json")).unwrap();
    watched.append("a.jsonl", &line("1"));
    assert_eq!(watched.poll(), ["1"]);
    watched.append("a.jsonl", &line("2"));
    assert_eq!(watched.poll(), ["2"]);
    // Nonsense in their place is read as nothing known.
    std::fs::remove_dir(watched.path("places.json")).unwrap();
    std::fs::write(watched.path("places.json"), "nonsense").unwrap();
    watched.restart();
    assert_eq!(watched.poll(), ["1", "2"]);
}

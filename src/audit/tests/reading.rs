//! Reading back: from both ends, as it grows, as rows; long and damaged lines included.

use std::{fs::OpenOptions, io::Write as _, time::Duration};

use super::*;

fn numbered(number: usize, filler: usize) -> String {
    let details = "x".repeat(filler);
    let time = "2025-01-02T03:04:05Z";
    format!("{{\"timestamp\":\"{time}\",\"action\":\"a{number}\",\"details\":\"{details}\",\"success\":true}}\n")
}

fn names(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.record().map_or_else(|| "damaged".to_owned(), |r| r.action.clone())).collect()
}

fn add(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn attack_111_long_lines_are_read_from_both_ends() {
    let (_folder, path) = place();
    for (number, filler) in [(1, 10), (2, 100 << 10), (3, (64 << 10) - 1), (4, 3 << 20), (5, 0)] {
        add(&path, &numbered(number, filler));
    }
    let forwards: Vec<Line> = Lines::open(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(names(&forwards), ["a1", "a2", "a3", "a4", "a5"]);
    assert_eq!(forwards[1].record().unwrap().details.as_ref().unwrap().len(), 100 << 10);
    for count in 0..7 {
        let last = tail(&path, &Filter::new(), count).unwrap();
        assert_eq!(names(&last), names(&forwards[5_usize.saturating_sub(count)..]), "{count}");
    }
    let offsets = |lines: &[Line]| lines.iter().map(|line| line.offset).collect::<Vec<_>>();
    assert_eq!(offsets(&tail(&path, &Filter::new(), 9).unwrap()), offsets(&forwards));
    assert_eq!(verify(&path).unwrap().unchained_lines, 5);
}

#[test]
fn many_short_lines_are_read_alike_from_both_ends() {
    let (_folder, path) = place();
    let text: String = (0..5_000).map(|number| numbered(number, number % 90)).collect();
    fs::write(&path, text).unwrap();
    let forwards: Vec<String> = Lines::open(&path).unwrap().map(|line| line.unwrap().text).collect();
    let backwards: Vec<String> = tail(&path, &Filter::new(), 6_000).unwrap().into_iter().map(|l| l.text).collect();
    assert_eq!(forwards, backwards);
}

#[test]
fn damaged_lines_are_reported_by_every_reader_and_filter() {
    let (_folder, path) = place();
    add(&path, &numbered(1, 0));
    fs::write(&path, [fs::read(&path).unwrap().as_slice(), b"\xff\xfe nonsense\n\n"].concat()).unwrap();
    add(&path, &numbered(2, 0));
    add(&path, "{\"timestamp\":");
    let forwards: Vec<Line> = Lines::open(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(names(&forwards), ["a1", "damaged", "damaged", "a2", "damaged"]);
    let Content::Damaged(why) = &forwards[4].content else { panic!("torn") };
    assert_eq!(why, "the line is torn, its end is missing");
    assert_eq!(names(&tail(&path, &Filter::new().action("a2"), 9).unwrap()), ["damaged", "damaged", "a2", "damaged"]);
    assert_eq!(verify(&path).unwrap().damaged_lines, 3);
}

#[test]
fn filters_want_what_meets_every_condition() {
    let record = |json: serde_json::Value| serde_json::from_value::<Record>(json).unwrap();
    let first = record(serde_json::json!({
        "timestamp": "2025-01-02T03:04:05Z", "action": "request_ended", "client_id": "c", "secret_name": "s",
        "host": "api.example.com", "outcome": "ok", "success": true,
    }));
    let time = |text| Timestamp::parse(text).unwrap();
    let wanted = Filter::new()
        .client("c")
        .secret("s")
        .host("API.example.com")
        .action("request_ended")
        .outcome(Outcome::Ok)
        .since(time("2025-01-02T03:04:05Z"))
        .until(time("2025-01-02T03:04:05Z"));
    assert!(wanted.wants(&first) && Filter::new().wants(&first));
    for filter in [
        Filter::new().client("d"),
        Filter::new().secret("S"),
        Filter::new().host("example.com"),
        Filter::new().action("request_begun"),
        Filter::new().outcome(Outcome::Cut),
        Filter::new().since(time("2025-01-02T03:04:06Z")),
        Filter::new().until(time("2025-01-02T03:04:04Z")),
    ] {
        assert!(!filter.wants(&first), "{filter:?}");
    }
}

#[test]
fn a_follower_sees_whole_lines_once_wherever_they_go() {
    let (folder, path) = place();
    let mut follower = Follower::from_end(&path, Filter::new()).unwrap();
    assert_eq!(names(&follower.poll().unwrap()), [""; 0], "no log yet");
    add(&path, &numbered(1, 0));
    assert_eq!(names(&follower.poll().unwrap()), ["a1"]);
    let line = numbered(2, 70_000);
    let (half, rest) = line.split_at(68_000);
    add(&path, half);
    assert_eq!(names(&follower.poll().unwrap()), [""; 0], "half a line is none");
    add(&path, rest);
    assert_eq!(names(&follower.poll().unwrap()), ["a2"]);
    add(&path, &numbered(3, 0));
    fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
    assert_eq!(names(&follower.poll().unwrap()), ["a3"], "the rest of the old file");
    add(&path, &numbered(4, 0));
    assert_eq!(names(&follower.poll().unwrap()), ["a4"], "the new file from its beginning");
    add(&path, &numbered(5, 500));
    assert_eq!(names(&follower.poll().unwrap()), ["a5"]);
    fs::write(&path, numbered(6, 0)).unwrap();
    assert_eq!(names(&follower.poll().unwrap()), ["a6"], "cut in place");

    let mut late = Follower::from_end(&path, Filter::new().action("a8")).unwrap();
    add(&path, &format!("{}{}", numbered(7, 0), numbered(8, 0)));
    assert_eq!(names(&late.poll().unwrap()), ["a8"]);
}

#[test]
fn a_request_is_one_row() {
    let (_folder, path) = place();
    let clock = clock();
    let (log, _) = AuditLog::open(&path, Settings::default(), clock.clone()).unwrap();
    let (first, second, alone) = (RequestId::next(), RequestId::next(), RequestId::next());
    let client = "agent".parse().unwrap();
    let start = clock.now();
    log.append(&begun(first).client(&client)).unwrap();
    log.append(&begun(second)).unwrap();
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    clock.advance(Duration::from_millis(250));
    log.append(&ended(first).bytes(1, 2)).unwrap();
    log.append(&ended(alone).duration(Duration::from_millis(100))).unwrap();

    let lines: Vec<Line> = Lines::open(&path).unwrap().map(Result::unwrap).collect();
    let rows = recent(&path, &Filter::new(), 10).unwrap().rows;
    let seen: Vec<(&str, RowState)> = rows.iter().map(|row| (row.record.action.as_str(), row.state)).collect();
    let expected = [
        ("request_ended", RowState::Done),
        ("request_begun", RowState::Open),
        ("policy_reload", RowState::Done),
        ("request_ended", RowState::Done),
    ];
    assert_eq!(seen, expected);
    assert_eq!((rows[0].began, rows[0].record.timestamp), (start, clock.now()));
    assert_eq!((rows[0].record.client_id.as_deref(), rows[0].record.path.as_deref()), (Some("agent"), Some("/v1")));
    assert_eq!((rows[0].record.status, rows[0].record.bytes_received), (Some(200), Some(2)));
    assert_eq!(rows[3].began, start.plus(Duration::from_millis(150)), "reckoned from its end");

    let mut joiner = Rows::new();
    let finished: Vec<Row> = lines.iter().filter_map(|line| joiner.push(line)).collect();
    assert_eq!(finished.len(), 3);
    assert_eq!(joiner.into_open(), [rows[1].clone()]);
}

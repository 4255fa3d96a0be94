use catraca_core::holds::adjacent::{Open, pick};

fn row(name: &str, ordinals: &[i32]) -> Vec<Open> {
    ordinals
        .iter()
        .map(|ordinal| (*ordinal, name.to_owned()))
        .collect()
}

#[test]
fn a_group_sits_together() {
    let open = [row("1", &[0, 1, 3, 5, 6, 7, 8]), row("2", &[10, 11, 12])].concat();
    assert_eq!(
        pick(&open, 3),
        [10, 11, 12],
        "exactly fits; the four would leave one alone"
    );
    assert_eq!(pick(&open, 4), [5, 6, 7, 8]);
    assert_eq!(pick(&open, 2), [0, 1]);
    assert_eq!(
        pick(&open, 1),
        [3],
        "not one of a pair, while a single seat is there"
    );
}

#[test]
fn a_row_ends_a_run() {
    let open = [row("1", &[0, 1]), row("2", &[2, 3])].concat();
    assert_eq!(
        pick(&open, 3),
        [0, 1, 2],
        "no three together: as few pieces as can be"
    );
}

#[test]
fn too_few_are_too_few() {
    assert_eq!(pick(&row("1", &[4, 9]), 3), [4, 9]);
    assert!(pick(&[], 1).is_empty());
}

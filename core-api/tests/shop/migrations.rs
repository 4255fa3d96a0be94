//! The release before runs on this schema: each of its statements is prepared, and whatever changes
//! nothing or can be taken back is run; and nothing that it knows has become narrower.
//! `migrations/README.md` says how the list of its statements is made.

use crate::common::Shop;
use std::collections::{BTreeMap, BTreeSet};

const STATEMENTS: &str = include_str!("../../../migrations/previous/statements.sql");
const FIRST: &str = include_str!("../../../migrations/V1__core.sql");

fn statements() -> Vec<String> {
    let lines = STATEMENTS.lines().filter(|line| !line.starts_with("--"));
    let text: Vec<&str> = lines.collect();
    let all = text.join("\n");
    let each = all.split(";\n").map(|one| one.trim().trim_end_matches(';'));
    each.filter(|one| !one.is_empty())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_statements_of_the_release_before_run() {
    let shop = Shop::open().await;
    let mut db = shop.db().await;
    let statements = statements();
    assert!(statements.len() > 100, "only {}", statements.len());
    let (mut refused, mut run) = (Vec::new(), 0);
    for text in &statements {
        let prepared = match db.prepare(text).await {
            Ok(prepared) => prepared,
            Err(error) => {
                refused.push(format!("{text}\n  {error:?}"));
                continue;
            }
        };
        // A row made of nulls is refused for that alone; the columns are compared below.
        if text.contains("INSERT INTO") {
            continue;
        }
        let tx = db.transaction().await.unwrap();
        let named = format!("PREPARE old AS {text}");
        tx.batch_execute(&named).await.unwrap();
        let nulls = vec!["NULL"; prepared.params().len()].join(", ");
        let call = if nulls.is_empty() {
            "EXECUTE old".to_owned()
        } else {
            format!("EXECUTE old ({nulls})")
        };
        match tx.batch_execute(&call).await {
            Ok(()) => run += 1,
            Err(error) => refused.push(format!("{text}\n  {error:?}")),
        }
        tx.rollback().await.unwrap();
        db.batch_execute("DEALLOCATE ALL").await.unwrap();
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    println!("{} prepared, {run} of them run", statements.len());
    drop(db);
    shop.close().await;
}

/// Type and whether it may be null, by table and column; and the columns that must be given.
type Columns = BTreeMap<(String, String), (String, bool)>;

async fn columns(shop: &Shop, schema: &str) -> (Columns, BTreeSet<(String, String)>) {
    let sql = "SELECT table_name::text, column_name::text, udt_name::text, is_nullable = 'YES',
                   is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
                   AND is_generated = 'NEVER'
               FROM information_schema.columns WHERE table_schema = $1";
    let rows = shop.db().await.query(sql, &[&schema]).await.unwrap();
    let key = |row: &tokio_postgres::Row| (row.get(0), row.get(1));
    let needed = rows.iter().filter(|row| row.get::<_, bool>(4)).map(key);
    let all = rows.iter();
    let all = all.map(|row| (key(row), (row.get(2), row.get(3))));
    (all.collect(), needed.collect())
}

#[tokio::test]
async fn nothing_that_was_released_has_become_narrower() {
    let shop = Shop::open().await;
    let db = shop.db().await;
    let first = format!("CREATE SCHEMA first; SET search_path = first; {FIRST} RESET search_path");
    db.batch_execute(&first).await.unwrap();
    let (before, _) = columns(&shop, "first").await;
    let (now, needed) = columns(&shop, "public").await;
    assert!(before.len() > 80, "only {}", before.len());
    let tables: BTreeSet<&String> = before.keys().map(|(table, _)| table).collect();
    for (column, (kind, nullable)) in &before {
        let here = now.get(column);
        let (now_kind, now_nullable) = here.unwrap_or_else(|| panic!("{column:?} is gone"));
        assert_eq!(now_kind, kind, "{column:?} has another type");
        assert!(
            !nullable || *now_nullable,
            "{column:?} may not be null any more"
        );
    }
    for column in &needed {
        let added = tables.contains(&column.0) && !before.contains_key(column);
        assert!(
            !added,
            "{column:?} is new and must be given: old programs don't"
        );
    }
    // A check or a unique index that is new to an old table refuses what old programs write, unless
    // it is about new columns alone.
    let sql = "SELECT c.conrelid::regclass::text, c.conname::text, array_agg(a.attname::text)
               FROM pg_constraint c
               JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
               WHERE c.connamespace = $1::text::regnamespace AND c.contype IN ('c', 'u', 'f', 'x')
               GROUP BY c.oid, c.conrelid, c.conname";
    let named = |rows: Vec<tokio_postgres::Row>| -> BTreeMap<(String, String), Vec<String>> {
        let bare = |name: String| name.trim_start_matches("first.").to_owned();
        let each = rows.iter();
        each.map(|row| ((bare(row.get(0)), row.get(1)), row.get(2)))
            .collect()
    };
    let constraints_before = named(db.query(sql, &[&"first"]).await.unwrap());
    let constraints_now = named(db.query(sql, &[&"public"]).await.unwrap());
    for ((table, name), of) in &constraints_now {
        let known = constraints_before.contains_key(&(table.clone(), name.clone()));
        let old_column = |column: &String| before.contains_key(&(table.clone(), column.clone()));
        if !known && tables.contains(table) {
            assert!(!of.iter().all(old_column), "{name} narrows {table}");
        }
    }
    drop(db);
    shop.close().await;
}

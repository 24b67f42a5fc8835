//! Circles in a graph of names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who imports whom.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// One shortest circle for each group of nodes that reach each other; its first node is not
/// repeated at its end.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut seen = BTreeSet::new();
    for node in graph.keys() {
        if seen.contains(node) {
            continue;
        }
        if let Some(circle) = shortest(graph, node) {
            let reached = reachable(graph, node);
            let back = |other: &&str| reachable(graph, other).contains(node.as_str());
            seen.extend(reached.iter().copied().filter(back).map(str::to_owned));
            found.push(circle);
        }
    }
    found
}

fn reachable<'a>(graph: &'a Graph, start: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut todo = vec![start];
    while let Some(node) = todo.pop() {
        for next in graph.get(node).into_iter().flatten() {
            if found.insert(next.as_str()) {
                todo.push(next);
            }
        }
    }
    found
}

/// The shortest path from a node back to it, breadth first.
fn shortest(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.get(node).into_iter().flatten() {
            if next == start {
                let mut path = vec![node.to_owned()];
                let mut at = node;
                while at != start {
                    at = before[at];
                    path.push(at.to_owned());
                }
                path.reverse();
                return Some(path);
            }
            if !before.contains_key(next.as_str()) {
                before.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

//! `system.toml`: buildpacks that every group gets, before and after its own.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#systemtoml-toml>

use crate::order::{Group, Member, Order};
use serde::{Deserialize, Serialize};

/// `system.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SystemToml {
    /// The one table.
    #[serde(default)]
    pub system: System,
}

/// Buildpacks before and after each group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct System {
    /// Before.
    #[serde(default)]
    pub pre: Buildpacks,
    /// After.
    #[serde(default)]
    pub post: Buildpacks,
}

/// A list of buildpacks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Buildpacks {
    /// The buildpacks.
    #[serde(default)]
    pub buildpacks: Vec<Member>,
}

impl SystemToml {
    /// The order with these buildpacks in each group that does not have one of that id already.
    #[must_use]
    pub fn merge(&self, mut order: Order) -> Order {
        for Group { group } in &mut order.order {
            let missing = |list: &[Member]| -> Vec<Member> {
                list.iter().filter(|it| !group.iter().any(|other| other.id == it.id)).cloned().collect()
            };
            let (pre, post) = (missing(&self.system.pre.buildpacks), missing(&self.system.post.buildpacks));
            group.splice(0..0, pre);
            group.extend(post);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_gets_what_it_does_not_have() {
        let system: SystemToml = crate::parse(
            "system.toml",
            "[[system.pre.buildpacks]]\nid = \"first\"\nversion = \"1\"\noptional = true\n\
             [[system.post.buildpacks]]\nid = \"own\"\n[[system.post.buildpacks]]\nid = \"last\"\n",
        )
        .unwrap();
        let order = crate::parse("order.toml", "[[order]]\n[[order.group]]\nid = \"own\"\n").unwrap();
        let merged = system.merge(order);
        let ids: Vec<_> = merged.order[0].group.iter().map(|it| (&*it.id, it.optional)).collect();
        assert_eq!(ids, [("first", true), ("own", false), ("last", false)]);
    }
}

"""JSON as a folding tree that makes its nodes when they are opened."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from hsejobs_tui.core.text import safe

#: Children shown of one node, characters of one text, and of all texts together.
CHILDREN, TEXT, WHOLE = 500, 2_000, 65_536


class JsonTree(Tree[Any]):
    """Masked JSON data. Nothing of it is ever taken for markup."""

    def __init__(self, name: str, data: Any) -> None:
        super().__init__(_label(name, data), data)
        self.shown = 0
        self.guide_depth = 2
        self.auto_expand = True

    def on_mount(self) -> None:
        """The first level is open."""
        self.root.expand()

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """Makes what is inside."""
        node: TreeNode[Any] = event.node
        data = node.data
        if node.children or not isinstance(data, dict | list):
            return
        pairs = list(data.items() if isinstance(data, dict) else enumerate(data))
        for key, value in pairs[:CHILDREN]:
            label = _label(str(key), value)
            self.shown += label.cell_len
            if self.shown > WHOLE:
                node.add_leaf(Text("... more than 64 KB is not shown", "dim"))
                return
            if isinstance(value, dict | list) and value:
                node.add(label, value)
            else:
                node.add_leaf(label)
        if len(pairs) > CHILDREN:
            node.add_leaf(Text(f"... {len(pairs) - CHILDREN:,} more", "dim"))


def _label(key: str, value: Any) -> Text:
    text = Text(safe(key, 200), "bold")
    if isinstance(value, dict):
        return text.append(f"  {{{len(value)}}}", "dim")
    if isinstance(value, list):
        return text.append(f"  [{len(value)}]", "dim")
    if isinstance(value, str):
        return text.append(": ").append(safe(value, TEXT), "green")
    shown = {None: "null", True: "true", False: "false"}.get(value, value)
    return text.append(": ").append(safe(shown, 200), "cyan")

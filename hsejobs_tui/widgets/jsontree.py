"""JSON as a collapsible tree that creates its nodes when they are expanded."""

from __future__ import annotations

import json
from typing import Any, Self

from rich.text import Text
from textual.geometry import Region
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from hsejobs_tui.core.text import safe

#: Limits: children of one node, characters of one text, and characters of all texts together.
CHILDREN, TEXT, WHOLE = 500, 2_000, 65_536
#: Up to this number of nodes, all are expanded.
FEW = 40


class JsonTree(Tree[Any]):
    """Shows masked JSON data, never as markup."""

    def __init__(self, name: str, data: Any, *, ascii_only: bool = False) -> None:
        super().__init__(_label(name, data), data)
        if ascii_only:
            self.ICON_NODE, self.ICON_NODE_EXPANDED = "+ ", "- "
            self.show_guides = False
        self.shown = 0
        self.few = False
        self.guide_depth = 2
        self.auto_expand = True

    def on_mount(self) -> None:
        """Expands the first level, or everything if there are few nodes."""
        self.few = _nodes(self.root.data, FEW) <= FEW
        self.root.expand()

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        """Requests a drawing; with ``layout``, also makes Textual forget the height that it measured.

        Textual keeps a height until a layout is requested, and drops a request while one is pending. A tree
        counts its lines later than it requests a layout: a height measured in between would stay.
        """
        if layout:
            self._layout_updates += 1
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """Creates the child nodes."""
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
                node.add(label, value, expand=False)
                if self.few:
                    node.children[-1].expand()
            else:
                node.add_leaf(label)
        if len(pairs) > CHILDREN:
            node.add_leaf(Text(f"... {len(pairs) - CHILDREN:,} more", "dim"))


def _nodes(data: Any, most: int) -> int:
    """The number of nodes; stops counting above ``most``."""
    found, left = 0, [data]
    while left and found <= most:
        one = left.pop()
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        found += len(inner)
        left.extend(list(inner)[:most])
    return found


def _label(key: str, value: Any) -> Text:
    text = Text(safe(key, 200), "bold")
    if isinstance(value, dict):
        return text.append(f"  {{{len(value)}}}", "dim")
    if isinstance(value, list):
        return text.append(f"  [{len(value)}]", "dim")
    if isinstance(value, str):
        return text.append(": ").append(safe(value, TEXT), "ok")
    # A dict lookup would confuse 1 with True, because they are equal.
    shown = json.dumps(value) if value is None or isinstance(value, bool) else value
    return text.append(": ").append(safe(shown, 200), "note")

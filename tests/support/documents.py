"""The pages of the documentation as tests read them: headings, links, code spans, blocks and what to do with them.

A block that a test runs has a comment before it. `<!-- file: NAME -->` writes it, `<!-- append: NAME -->` adds it to a
file, `<!-- run -->` runs its lines, `<!-- prints -->` compares it with what the last ones have printed (numbers may
differ), `<!-- sql: N -->` asks the warehouse and must find N rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?:<!-- (?P<what>[^\n]+?) -->\n)?(?P<mark>```+)(?P<kind>\w*)\n(?P<text>.*?)^(?P=mark)$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what is to be done with it (empty: nothing), its text, the line it begins at."""

    kind: str
    what: str
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """All but fenced blocks, with as many lines."""
        return FENCE.sub(lambda found: "\n" * found[0].count("\n"), self.text)

    def blocks(self, kind: str = "") -> list[Block]:
        text = self.text
        found = [
            Block(one["kind"], one["what"] or "", one["text"], text[: one.start("mark")].count("\n") + 1)
            for one in FENCE.finditer(text)
        ]
        return [one for one in found if not kind or one.kind == kind]

    def anchors(self) -> set[str]:
        """As GitHub makes them of headings, and ids that are written out."""
        seen: dict[str, int] = {}
        found = set(re.findall(r'<a (?:id|name)="([^"]+)"', self.prose))
        for heading in re.findall(r"^#{1,6} +(.+?)\s*$", self.prose, re.M):
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            seen[slug] = seen.get(slug, -1) + 1
            found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        return found

    def links(self) -> Iterator[str]:
        """Targets of links and pictures."""
        yield from re.findall(r"\]\(([^()\s]+(?:\([^()]*\)[^()\s]*)?)\)", re.sub(r"`[^`\n]+`", "", self.prose))

    def spans(self) -> list[str]:
        """Texts in single backquotes."""
        return [" ".join(one.split()) for one in re.findall(r"(?<!`)`([^`]+)`(?!`)", self.prose)]

    def commands(self) -> list[str]:
        """Lines of shell: spans, and the lines of blocks, continued ones joined, without comments."""
        blocks = [block.text for block in self.blocks() if block.kind in ("sh", "bash", "console")]
        indented = re.findall(r"^ {4}(python -m .+?)(?<!\\)$", self.prose, re.M | re.S)
        lines = "\n".join([*blocks, *indented]).replace("\\\n", " ").splitlines()
        return [re.sub(r"(^|\s)#.*", "", line).strip() for line in [*lines, *self.spans()]]


def pages() -> list[Page]:
    """README.md, CONTRIBUTING.md and all of docs/."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [Page(file) for file in files]

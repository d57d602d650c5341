"""What an author's words may be: plain text in titles and sentences, Markdown without scripts in descriptions.

Pages escape all of it; this keeps what can only be meant badly out of a registry, whoever shows it.
"""

from __future__ import annotations

import re
import unicodedata

MARKUP = re.compile(r"<[A-Za-z!/?]")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
ACTIVE = re.compile(
    r"<\s*(script|iframe|object|embed|form|base|meta)\b|<[^>]*\son[a-z]+\s*=|(javascript|vbscript)\s*:|data\s*:\s*text/html",
    re.IGNORECASE,
)


def fault_of_words(value: str) -> str | None:
    """Return what is wrong with a title or sentence as a clause (``must …``), or None."""
    if not value.strip():
        return "must not be empty"
    if MARKUP.search(value):
        return "must be plain text; markup is not shown"
    # Cc: control characters; Cf: among others those that turn the direction of what follows.
    if any(unicodedata.category(char) in ("Cc", "Cf") and char not in "\n\t\u200d" for char in value):
        return "must not hold control characters"
    return None


def fault_of_description(text: str) -> str | None:
    """Return what is wrong with a description in Markdown as the end of a sentence, or None. Code samples are fine."""
    found = ACTIVE.search(CODE.sub("", text))
    return f"carries an active part ({found[0].strip()[:40]!r})" if found else None

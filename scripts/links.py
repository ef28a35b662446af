"""Ask for every page that the READMEs, the guides and the lessons link to: python scripts/links.py

A page that its server does not have (404, 410) is broken, and the command fails. One that cannot be reached, or that
does not answer to programs, is only listed: that says nothing about the link.
"""

import re
import sys
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from course.language import LANGUAGES
from course.notebooks import LESSONS, ROOT, SOLUTIONS, read

LINK = re.compile(r"""https?://(?:\([^\s()]*\)|[^\s<>"'`\[\](){}])+""")  # pairs of parentheses belong to it
TIMEOUT = 15  # seconds


def links() -> dict[str, list[str]]:
    """{address: the files that link to it}"""
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in documents()}
    for language in LANGUAGES:
        for lesson in LESSONS + SOLUTIONS:
            prose = [cell.source for cell in read(language, lesson).cells if cell.cell_type == "markdown"]
            texts[f"notebooks/{language}/{lesson}.ipynb"] = "\n".join(prose)
    found: dict[str, list[str]] = {}
    for file, text in texts.items():
        for address in sorted({match.rstrip(".,;:!?") for match in LINK.findall(text)}):
            found.setdefault(address.split("#")[0], []).append(file)
    return found


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bert/**/*.md")]


def ask(address: str) -> tuple[str, str]:
    """("works", ""), or "broken" or "not reached" and why"""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check of a course)"})
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT).close()
    except urllib.error.HTTPError as error:
        return "broken" if error.code in (404, 410) else "not reached", f"the server answers {error.code}"
    except (OSError, ValueError) as error:
        return "not reached", str(getattr(error, "reason", error))
    return "works", ""


def main() -> int:
    found = links()
    with ThreadPoolExecutor(8) as pool:
        answers = list(zip(found, pool.map(ask, found), strict=True))
    for address, (kind, why) in sorted(answers, key=lambda answer: answer[1], reverse=True):
        if kind != "works":
            print(f"{kind}: {address} ({why}), in {', '.join(found[address])}")
    count = Counter(kind for _, (kind, _) in answers)
    print(f"{count['works']} links work, {count['not reached']} could not be reached, {count['broken']} are broken")
    return 1 if count["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())

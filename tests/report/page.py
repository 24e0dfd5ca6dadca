"""A reader of pages, for the tests: elements, text, and whether tags match."""

from html.parser import HTMLParser

VOID = {"img", "meta", "br", "input"}


class Page(HTMLParser):
    """Collects start tags and text; `open_tags` is empty after a well-formed page."""

    def __init__(self, text):
        super().__init__()
        self.open_tags, self.elements, self.words, self.rows = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open_tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open_tags and self.open_tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(self.words)

    def row(self, *start):
        """The cells of the only row that starts like this, after the start."""
        (found,) = [r for r in self.rows if r[: len(start)] == list(start)]
        return found[len(start) :]

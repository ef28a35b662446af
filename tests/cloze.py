"""Twenty gaps in the language of news, and what may stand in them. Written before any model was asked."""

MONTHS = set("january february march april may june july august september october november december".split())
COUNTRIES = set(
    "afghanistan australia britain canada chile china france germany india indonesia iran iraq ireland israel italy "
    "japan korea malaysia mexico pakistan russia singapore spain taiwan thailand turkey ukraine vietnam".split()
)

CLOZE = [
    ("The president of the United [MASK] met leaders in Washington.", {"states", "nations"}),
    ("A bomb exploded in the Iraqi capital [MASK] on Sunday.", {"baghdad"}),
    ("The prime minister of [MASK] will visit Beijing next week.", COUNTRIES),
    ("Oil prices rose above $50 a [MASK] on Thursday.", {"barrel"}),
    ("Shares of the company fell 5 [MASK] in early trading.", {"percent", "per", "%", "cents", "points"}),
    ("The company said its third-quarter [MASK] rose 10 percent.",
     {"profit", "profits", "earnings", "sales", "revenue", "revenues", "income"}),
    ("The striker scored two [MASK] in the second half.", {"goals"}),
    ("The team won the [MASK] 3-1.", {"game", "match", "series", "final", "title", "cup"}),
    ("She won the gold [MASK] at the Olympic Games.", {"medal", "medals"}),
    ("The software giant [MASK] released a new version of Windows.", {"microsoft"}),
    ("The search engine company [MASK] went public in August.", {"google", "yahoo"}),
    ("The new phone has a digital [MASK] and a colour screen.", {"camera", "display", "keyboard"}),
    ("The meeting will be held on [MASK] 15.", MONTHS),
    ("The Federal Reserve raised interest [MASK] on Tuesday.", {"rates", "rate"}),
    ("He has been the coach [MASK] the team since 2001.", {"of", "for", "with"}),
    ("The court [MASK] that the law was illegal.", {"ruled", "said", "decided", "found", "declared", "agreed"}),
    ("Voters will go to the [MASK] in the presidential election.", {"polls", "ballot"}),
    ("The two sides have agreed [MASK] a ceasefire.", {"to", "on"}),
    ("A strong earthquake hit northern [MASK], killing at least ten people.", COUNTRIES | {"california"}),
    ("The bank plans to cut 500 [MASK] to reduce costs.",
     {"jobs", "staff", "workers", "employees", "positions", "people"}),
]  # fmt: skip

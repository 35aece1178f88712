"""What did people put into the demo's prompts, and what came back?

In both, `{{name}}` is a blank for one of `WORDS` or for an amount, filled anew for each call. What an example does not
name has the variable's default.
"""

from __future__ import annotations

from core.demo.data_examples import FEEDBACK, INVOICES, Example

WORDS: dict[str, tuple[str, ...]] = {
    "customer": ("Mr Farouk", "Ms Brandt", "Mrs Osei", "Dr Kowalska", "Ms Laurent", "Mr Nakamura", "Ms Petrova"),
    "item": ("desk lamp", "office chair", "coffee grinder", "rain jacket", "bicycle bell", "travel kettle"),
    "city": ("Lyon", "Gdańsk", "Leeds", "Porto", "Graz", "Utrecht", "Kyoto"),
    "team": ("Sales", "Logistics", "Customer care", "Product", "IT operations"),
    "lead": ("A. Diallo", "T. Zieliński", "M. Tanaka", "R. Costa", "J. Lindqvist"),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday"),
    "supplier": ("Nordlicht Papier GmbH", "Atelier Moreau SARL", "Brightwell Cleaning Ltd", "Datura Hosting B.V."),
    "goods": ("Copy paper A4, 80 g", "Window cleaning, ground floor", "Virtual server, 4 cores", "Printed folders"),
}


_APPENDIX = """

Background. {{team}} has met every {{weekday}} since spring. The minutes of earlier meetings are in the shared folder, \
and the figures come from the monthly report, which {{lead}} keeps. Where the two differ, the report counts."""

_LONG_APPENDIX = (
    _APPENDIX
    + """

Discussion. Several people asked whether the {{city}} site could take over part of the work. It could from the middle \
of next quarter, when two colleagues will have been trained; before that it would have to turn other work away. The \
cost of the training is in the budget. The works council has been told and has no objections, provided that rotas are \
published three weeks ahead. Travel between the sites is to stay the exception.

Costs. The training takes four days for each of the two and is given in house. The rent of the second room in {{city}} \
is in this year's plan. {{lead}} has asked for offers for shelves and a second scale; the lowest of three is at \
EUR {{amount}}. Nothing is to be ordered before the survey has been talked over with {{team}}.

Next steps. The full answers, without names, are in the shared folder. Whoever quotes from them in a letter asks the \
customer first. The survey is to be repeated in a year, with the same questions, so that the results can be compared."""
)

_SUMMARIES = (
    Example(
        {
            "document": """\
Minutes, {{team}}, {{weekday}}

1. Backlog. {{number}} open requests, down from {{larger}} a month ago. The oldest is 19 days old. {{lead}} attributes \
this to the new triage on {{weekday}} mornings.
2. Returns from {{city}}. The carrier lost two pallets. The claim over EUR {{amount}} has been filed; an answer is due \
within four weeks.
3. Decision: the evening shift is to be tried for six weeks, beginning on the first of next month. {{lead}} writes the \
rota and publishes it by Friday."""
            + _APPENDIX,
            "audience": "the management board",
            "words": "100",
        },
        """\
- **The backlog shrank** from {{larger}} to {{number}} open requests; the oldest is 19 days old.
- **EUR {{amount}} is open with the carrier**, which lost two pallets from {{city}}. An answer is due within four weeks.
- An **evening shift** will be tried for six weeks from the first of next month.

### Decisions and deadlines
- Evening shift, six weeks' trial: {{lead}} publishes the rota by Friday.""",
    ),
    Example(
        {
            "document": """\
Report on the customer survey in {{city}}

We asked {{larger}} customers; {{number}} answered. Seven in ten would recommend us. Delivery times were named most \
often as a reason not to, followed by the wording of our invoices. Customers who had spoken to {{team}} on the phone \
were clearly happier than those who had only written. Nobody was asked about prices."""
            + _LONG_APPENDIX,
            "form": "short paragraphs",
            "words": "200",
        },
        """\
Seven in ten of those who answered would recommend us. The rest name **delivery times** first and the **wording of \
invoices** second. Whoever had spoken to {{team}} on the phone was clearly happier.

The basis is narrow: {{number}} of {{larger}} customers answered, and prices were not asked about.

Part of the work could move to {{city}} from the middle of next quarter, after two colleagues have been trained. The \
works council agrees, provided that rotas are published three weeks ahead.

### Decisions and deadlines
None stated.""",
    ),
    Example(
        {
            "document": """\
From: {{lead}}
To: {{team}}

Dear all, on {{weekday}} between 18:00 and 20:00 the order system will be down for an update. Orders placed on the \
website during that time are kept and imported afterwards. Please do not enter orders by hand in the meantime: last \
time that gave us {{number}} duplicates. If something is urgent, call the hotline."""
            + _APPENDIX,
            "form": "one paragraph",
            "words": "60",
            "list_decisions": "no",
        },
        """\
The order system is down on {{weekday}} from 18:00 to 20:00. Orders from the website are kept and imported afterwards, \
so **none should be entered by hand**; last time that led to {{number}} duplicates. Urgent cases go to the hotline.""",
    ),
    Example(
        {
            "document": "{{city}} branch: see attached table. Figures to follow on {{weekday}}. Best, {{lead}}",
            "audience": "a new colleague",
        },
        """\
The text only announces a table, which is not included, so there is little to shorten.

- Figures of the {{city}} branch are to follow on {{weekday}}.

### Decisions and deadlines
- {{lead}} sends the figures on {{weekday}}.""",
    ),
)

_REPLIES = (
    Example(
        {
            "customer_message": """\
Hello, I ordered a {{item}} ten days ago (order {{order}}) and it still has not come. The tracking has said \
"in transit" since last {{weekday}}. Can you tell me where it is, and can I still have it before the weekend?
{{customer}}, {{city}}""",
            "what_we_know": "Order {{order}}: parcel lost by the carrier. Replacement left today, arrives in two days.",
            "goodwill": "yes",
        },
        """\
Dear {{customer}},

Your parcel with the {{item}} was lost on its way by the carrier. I am sorry that you had to wait and to ask.

We sent a replacement for order {{order}} today. It should be with you in two days, so before the weekend. The order \
itself stays as it is; you need not do anything.

For the trouble we would like to give you a voucher for your next order. Tell us if you would like it, and we will \
send it to this address.

Kind regards
Your customer service team""",
    ),
    Example(
        {
            "customer_message": """\
Your invoice for order {{order}} charges me EUR {{amount}}, but the shop showed a lower price. Please explain.
{{customer}}""",
            "what_we_know": "The shop shows prices without delivery. Delivery is EUR 6.90. The invoice is correct.",
            "tone": "neutral",
        },
        """\
Dear {{customer}},

Thank you for asking. The invoice for order {{order}} is correct: the price in the shop is shown without delivery, and \
the EUR {{amount}} on your invoice include EUR 6.90 for it.

Delivery is listed on a line of its own, below the articles. If another line still looks wrong to you, please tell me \
which one.

Kind regards
Your customer service team""",
    ),
    Example(
        {
            "customer_message": """\
Guten Tag, bei meiner Bestellung {{order}} war die Verpackung offen und das Zubehör fehlt. Was soll ich tun?
Mit freundlichen Grüßen aus {{city}}""",
            "what_we_know": "Missing parts are sent free of charge within three working days. No return needed.",
            "tone": "formal",
        },
        """\
Guten Tag,

es tut mir leid, dass Ihre Bestellung {{order}} unvollständig bei Ihnen angekommen ist.

Wir senden Ihnen das fehlende Zubehör innerhalb von drei Werktagen kostenlos zu. Zurückschicken müssen Sie nichts. \
Falls auch am Artikel selbst etwas beschädigt ist, antworten Sie bitte kurz auf diese Nachricht.

Mit freundlichen Grüßen
Ihr Kundenservice""",
    ),
    Example(
        {
            "customer_message": """\
The {{item}} got so hot that it left a burn on my table, and on my hand. I have photos and I will see a lawyer.
{{customer}}, {{city}}""",
            "what_we_know": "",
            "tone": "formal",
        },
        """\
Dear {{customer}},

Your message about the {{item}} has arrived. A colleague will be in touch with you personally.

Kind regards
Your customer service team""",
    ),
)

_TRANSLATIONS = (
    Example(
        {
            "text": "Your parcel {{order}} will arrive tomorrow. The address can be changed until this evening.",
            "language": "German",
            "address": "formal",
        },
        "Ihr Paket {{order}} kommt morgen an. Die Adresse lässt sich noch bis heute Abend ändern.",
    ),
    Example(
        {
            "text": "The lift in our {{city}} office is out of order until further notice. Please use the stairs.",
            "language": "French",
        },
        "L’ascenseur de notre bureau de {{city}} est en panne jusqu’à nouvel ordre. Merci de prendre l’escalier.",
    ),
    Example(
        {
            "text": "Liebes Team,\n\ndie Inventur in {{city}} verschiebt sich. Die Listen bleiben gleich.\n\n{{lead}}",
            "language": "English",
        },
        "Dear team,\n\nstocktaking in {{city}} has been put off. The lists stay the same.\n\n{{lead}}",
    ),
    Example(
        {
            "text": "Thank you for your order {{order}}! Your parcel is on its way.",
            "language": "Spanish",
            "address": "informal",
        },
        "¡Gracias por tu pedido {{order}}! Tu paquete ya está en camino.",
    ),
    Example(
        {
            "text": """\
# Returns

1. Pack the article in its box.
2. Put the label with number {{order}} on top.
3. Hand it in at any ParcelPoint.""",
            "language": "Polish",
            "keep": "ParcelPoint",
        },
        """\
# Zwroty

1. Zapakuj artykuł do pudełka, w którym przyszedł.
2. Naklej na wierzch etykietę z numerem {{order}}.
3. Oddaj paczkę w dowolnym punkcie ParcelPoint.""",
    ),
)


_CODE = (
    Example(
        {
            "code": """\
def chunks(rows, size={{number}}):
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch""",
            "language": "Python",
            "question": "Why is there a second yield at the end?",
        },
        """\
The second `yield` hands out **the last, shorter batch**: without it, up to `size - 1` rows would be lost.

`chunks` cuts any sequence of rows into lists of {{number}}, one at a time, so that a large file never has to be in \
memory as a whole.

1. `batch` collects rows.
2. Whenever it holds `size` of them, it is handed out and a new list is begun.
3. After the loop, what is left over is handed out too, unless it is empty.

**Example.** `list(chunks("abcde", 2))` gives `[['a', 'b'], ['c', 'd'], ['e']]`.

### Worth knowing
- With `size=0` the batch is never full: everything comes as one list.""",
    ),
    Example(
        {
            "code": """\
SELECT c.city, COUNT(*) AS orders, SUM(o.total) AS total
FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
WHERE o.placed_at >= '{{day}}'
GROUP BY c.city
ORDER BY total DESC;""",
            "language": "SQL",
            "reader": "a programmer who is new to this language",
        },
        """\
The query lists, for each city, **how many orders were placed since {{day}} and what they came to**, the largest total \
first.

- `LEFT JOIN` puts each customer beside their orders, customers without orders included.
- `WHERE` keeps orders placed on that day or later.
- `GROUP BY` folds the rows of a city into one; `COUNT` and `SUM` are taken per city.

**Example.** Two orders of 20 and 30 from {{city}} become one row: `{{city}}, 2, 50`.

### Worth knowing
- `WHERE o.placed_at …` drops the very customers that `LEFT JOIN` had kept, because theirs is NULL. Cities without \
orders are missing. To keep them, the condition belongs into `ON`.""",
    ),
    Example(
        {
            "code": """\
#!/bin/bash
for f in $(ls /backup/*.gz); do
  if [ $(date -r $f +%s) -lt $(date -d "-{{number}} days" +%s) ]; then rm $f; fi
done""",
            "language": "Bash",
            "reader": "somebody who does not program",
            "improve": "yes",
        },
        """\
This tidies up a folder of backups: **every archive older than {{number}} days is deleted**, the others stay.

It looks at one file after the other, compares the day it was last changed with the day {{number}} days ago, and \
removes it if it is older.

**Example.** With {{number}} days, a file of yesterday stays; one from last year goes.

### Worth knowing
- It deletes without asking and writes down nothing.
- A file name with a space breaks it: the two halves are taken for two files.

### Improvements
- One line does it, safely: `find /backup -name '*.gz' -mtime +{{number}} -print -delete`""",
    ),
    Example(
        {
            "code": '=IFERROR(INDEX(Prices!C:C, MATCH(A2&"|"&B2, Prices!A:A, 0)), "–")',
            "language": "Excel formula",
            "reader": "somebody who does not program",
        },
        """\
The formula **looks up a price**. It joins the contents of A2 and B2 with a bar between them, searches that text in \
column A of the sheet «Prices», and shows column C of the row it finds. If there is none, it shows a dash.

**Example.** A2 is `{{item}}`, B2 is `blue`: it searches for `{{item}}|blue`.

### Worth knowing
- The dash also hides every other mistake, such as a sheet that was renamed.""",
    ),
)

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "summarise-a-document": _SUMMARIES,
    "answer-a-customer": _REPLIES,
    "translate": _TRANSLATIONS,
    "extract-an-invoice": INVOICES,
    "sort-feedback": FEEDBACK,
    "explain-code": _CODE,
}

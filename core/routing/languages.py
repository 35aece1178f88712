"""Which language is a text written in? By its letters, and where many languages share them, by its small words.

Says nothing where a text does not tell: a rule about a language then does not hold. See the decision note 0071.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# Characters of a text that are looked at.
READS = 400
# A language must have so many of its small words there, and more than any other.
ENOUGH = 2

LANGUAGES: tuple[tuple[str, str], ...] = (
    ("ar", "Arabic"), ("cs", "Czech"), ("da", "Danish"), ("de", "German"), ("el", "Greek"), ("en", "English"),
    ("es", "Spanish"), ("fi", "Finnish"), ("fr", "French"), ("he", "Hebrew"), ("hi", "Hindi"), ("hu", "Hungarian"),
    ("it", "Italian"), ("ja", "Japanese"), ("ko", "Korean"), ("nl", "Dutch"), ("no", "Norwegian"), ("pl", "Polish"),
    ("pt", "Portuguese"), ("ro", "Romanian"), ("ru", "Russian"), ("sv", "Swedish"), ("th", "Thai"), ("tr", "Turkish"),
    ("uk", "Ukrainian"), ("zh", "Chinese"),
)  # fmt: skip

# Scripts as Unicode's names of letters begin, for which one language is by far the likeliest.
_SCRIPTS = {
    "ARABIC": "ar", "GREEK": "el", "HEBREW": "he", "DEVANAGARI": "hi", "HIRAGANA": "ja", "KATAKANA": "ja",
    "HANGUL": "ko", "THAI": "th", "CJK": "zh",
}  # fmt: skip
# Letters that Ukrainian has and Russian has not.
_UKRAINIAN = set("іїєґ")

# The most frequent small words; those that two languages share count for both, so that the others decide.
_SMALL_WORDS = {
    "cs": "a aby ale ani bez bude by být co což do h i je jeho jejich jen ještě jsem jsme jsou jste já k kde když "
    "která které který mi mu na nebo není o od po pro proto protože při s se si tak také ten to toto u už v ve "
    "z za že",
    "da": "af alle at blev bliver de dem den denne der det dette dig dog du efter eller en end er et for fra han har "
    "havde hun hvad hvis hvor hvordan hvorfor i ikke ind jeg kan kunne man med meget men mig min noget når og "
    "også om op os på sig skal som så til tilbage ud var vi vil være",
    "de": "aber als am an auch auf aus bei bin bis bitte da damit das dass dem den der des die dies diese doch du "
    "durch ein eine einem einen einer es für gibt hat ich ihr im in ist ja kann kein mich mir mit nach nicht "
    "noch nur oder sehr sein sich sie sind so um und uns unser vom von war warum was wenn werden wie wir wird "
    "wo zu zum zur über",
    "en": "a about all an and are as at be been but by can could did do does for from had has have he her his how i "
    "if in into is it its me my no not of on or our please she should so some than that the their them then "
    "there these they this to us was we were what when where which who why will with would you your",
    "es": "a al como con cuando de del desde donde e el ella en entre era es esta este esto está favor fue ha hay la "
    "las le lo los me mi muy más no nos o para pero por porque puede que quiero qué se ser si sin sobre son su "
    "sus sí también te tiene todo tu un una uno y ya yo",
    "fi": "ei eivät että he hän ja jo joka jos kanssa kuin kun kuten kyllä me mikä minun minä missä mitä mutta myös "
    "ne niin nyt ole olen oli olla on ovat se sen siitä sinä sitä tai te tämä tämän vain voi voit",
    "fr": "au aux avec bien c'est ce ces cette comme dans de des deux donc du elle en est et faire fait il ils j'ai "
    "je l'on la le les leur lui mais me mes moi mon même ne nous on ont ou où par pas peut plus pour pourquoi "
    "qu que quel quelle qui sa sans se ses si son sont sur tout très tu un une vous y à être",
    "hu": "a az be csak de egy el ez fel ha hanem hogy hogyan is itt kell ki le lehet ma meg mert mi milyen mint mit "
    "miért most már nagyon ne neki nem nincs olyan pedig s se sem szerint te után vagy van volt én és úgy ő",
    "it": "a ad ai al alla anche che chi ci come con cosa da dal degli dei del della delle di dove e ed gli ha hanno "
    "ho i il in io l'ho la le lo loro ma mi mia mio ne nel nella non o per perché più può qual quando quello "
    "questa questo sarà se si sia sono su sua suo tra tu un una uno è",
    "nl": "aan al als bij dan dat de deze die dit doe door dus een en er gaan geen had heb hebben heeft het hij hoe "
    "ik in is je kan kunnen maar me meer met mij mijn moet na naar niet nog nu of om onder ons ook op over te "
    "tot uit van veel voor waar waarom was wat we wel werd wij worden wordt zal ze zich zij zijn zo zou",
    "no": "alle at av ble blir da de deg den denne der det dette du eller en er et etter for fordi fra gjøre går ha "
    "han har hva hvis hvor hvordan hvorfor i ikke ja jeg kan man med meg men mer min mye noe nå når og også om "
    "opp oss på seg skal som så til tilbake ut var ved vi vil være",
    "pl": "a aby albo ale bardzo bez być był była ci co czy dla do gdy gdzie i ich ja jak jako je jest jestem już "
    "kiedy kto która które który ma mnie może mu na nad nie o od on ona oraz po pod przez przy się są ta tak "
    "także tego ten to tu tylko tym w we więc z za ze że",
    "pt": "a ao aos as com como da das de dele depois do dos e ela ele em entre era essa esse esta está eu foi há "
    "isso já lhe mais mas me meu minha muito na nas nem no nos não o onde os ou para pela pelo por porque qual "
    "quando que quem se sem ser seu seus sua são também te tem um uma você é",
    "ro": "a această acest acesta ai al ale am ar are asta au ca care ce cel cu cum că dar de din este eu fi fost la "
    "le lui mai mi ne nu o pe pentru poate prin sa sau se sunt să te un una unde unei unui va vă în într între "
    "și",
    "sv": "alla att av blev bli de dem den denna det detta dig din du där efter ej eller en er ett finns från för ha "
    "hade han har hon hur i icke inte jag kan med men mig min mot mycket nu när och också om oss på sig sin "
    "ska som så till under upp ut utan vad var vara varför vi vid vill är över",
    "tr": "acaba ama ancak bana ben benim bir bu bunu da daha de değil diye en gibi göre hem ile ise için kadar ki "
    "kim mi mu mü mı nasıl ne neden nerede niçin o olan olarak oldu olduğu olur onu sen siz sonra var ve veya "
    "ya yok çok şey şu",
}
_LANGUAGES_OF_WORD: dict[str, list[str]] = {}
for _language, _words in _SMALL_WORDS.items():
    for _word in dict.fromkeys(_words.split()):
        _LANGUAGES_OF_WORD.setdefault(_word, []).append(_language)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def language_of(text: str) -> str:
    """The likeliest language in two letters of ISO 639-1, or "" where the text does not tell."""
    beginning = text[:READS].casefold()
    return _by_script(beginning) or _by_small_words(beginning)


def _by_script(text: str) -> str:
    """The language of most letters, where they are not Latin."""
    if text.isascii():
        return ""
    scripts: Counter[str] = Counter()
    for letter, number in Counter(text).items():
        if letter.isalpha():
            scripts["LATIN" if letter.isascii() else unicodedata.name(letter, "").split(" ")[0].split("-")[0]] += number
    # A few signs of Kana make a text full of Chinese characters Japanese.
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > scripts["CJK"] / 20 and scripts["HIRAGANA"] > scripts["LATIN"]:
        return "ja"
    most = max(scripts, key=lambda script: scripts[script], default="LATIN")
    if most == "CYRILLIC":
        return "uk" if _UKRAINIAN & set(text) else "ru"
    return _SCRIPTS.get(most, "")


def _by_small_words(text: str) -> str:
    """The language with the most small words; a word that several share counts less for each."""
    scores: dict[str, int] = {}
    found: dict[str, int] = {}
    for word, number in Counter(_WORD.findall(text.replace("’", "'"))).items():
        languages = _LANGUAGES_OF_WORD.get(word, ())
        for language in languages:
            scores[language] = scores.get(language, 0) + number * 60 // len(languages)
            found[language] = found.get(language, 0) + number
    best = max(scores, key=lambda language: scores[language], default="")
    if not best or found[best] < ENOUGH or sum(score == scores[best] for score in scores.values()) > 1:
        return ""
    return best

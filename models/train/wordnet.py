"""WordNet's nouns, as Debian's `wordnet` lays them out, and the broader words that they give to the photos' words."""
import re

# Broader words that nobody looks for, or that hold for nearly everything.
DULL = set("""abstraction, anapsid, aquatic vertebrate, area, artifact, attribute, body part, causal agent, chordate, collection,
commodity, component, consumer goods, covering, diapsid, durables, enclosure, entity, event, act, extremity, foodstuff,
geological formation, group, instrumentality, invertebrate, living thing, location, material, matter, measure, natural object,
nutriment, object, organism, part, physical entity, physical process, physical thing, placental, process, protective covering,
psychological feature, region, relation, solid, state, structure, substance, surface, thing, unit, vertebrate, way,
whole""".replace("\n", " ").split(", "))
BROADER = 8  # of a word at most, the nearest ones
LONGEST = 4  # words that a name may have; what is longer is a caption


class Noun:
    """A synset: where it stands, its lexicographer file, its names, the synsets that it is a kind of, and its gloss."""

    def __init__(self, line):
        head, _, gloss = line.partition("|")
        fields = head.split()
        named = 4 + 2 * int(fields[3], 16)
        self.at, self.kind = int(fields[0]), int(fields[1])
        self.names = [name.replace("_", " ").lower() for name in fields[4:named:2]]
        pointers = fields[named + 1:named + 1 + 4 * int(fields[named])]
        self.above = [int(at) for sign, at in zip(pointers[::4], pointers[1::4]) if sign in ("@", "@i")]
        self.gloss = re.split(r";|\"", gloss)[0].strip()


def nouns(folder):
    for line in open(folder / "data.noun", encoding="utf-8", errors="replace"):
        if not line.startswith("  "):
            yield Noun(line)


def first_senses(folder):
    """A name -> its most frequent synset."""
    senses = {}
    for line in open(folder / "index.noun", encoding="utf-8"):
        if not line.startswith("  "):
            fields = line.split()
            senses[fields[0].replace("_", " ")] = int(fields[-int(fields[2])])
    return senses


def broader(folder, labels, words):
    """{word: broader words} for names among `words`, e. g. {"tench": ["cyprinid", …, "fish", "animal"]}.

    `labels` are lists of all names of a synset: they tell which sense a name has that is one of them. Of other names it is
    the most frequent sense, of names of several words that of the last one when WordNet has not the whole."""
    synsets = {noun.at: noun for noun in nouns(folder)}
    by_names = {}
    for noun in synsets.values():
        by_names.setdefault(tuple(noun.names), []).append(noun.at)
    meant = {names[0].lower(): by_names.get(tuple(name.lower() for name in names), []) for names in labels}
    senses, found = first_senses(folder), {}
    for word in words:
        name = re.sub(r"^(an?|the) | (photo|painting|cartoon|sketch)$", "", word.lower())
        if not name or len(name.split()) > LONGEST:
            continue
        last = name.split()[-1]
        known = meant.get(name) or [senses[n] for n in (name, name.rstrip("s"), last, last.rstrip("s")) if n in senses][:1]
        if len(known) == 1:  # of two labels of the same name nobody knows which
            above = [synsets[at].names[0] for at in all_above(synsets, known[0])]
            found[word] = [name for name in above if name not in DULL][:BROADER]
    return {word: names for word, names in found.items() if names}


def all_above(synsets, at):
    """Nearest ones first."""
    found, coming = [], list(synsets[at].above)
    while coming:
        one = coming.pop(0)
        if one not in found:
            found.append(one)
            coming += synsets[one].above
    return found

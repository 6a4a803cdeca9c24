"""Where the training photos lie under RAW, one folder for each source as it was fetched, and the words that each comes with."""
import csv
import json
import re

INSTRUMENTS = {"acordian": "accordion", "saxaphone": "saxophone", "marakas": "maracas", "casaba": "cabasa", "bongo drum": "bongo drums"}
# The twenty labels of `crisp` by their numbers, as its photos show them.
CRISP = ["tobacco shop", "stage", "ear", "cannon", "oboe", "hourglass", "dugong", "horizontal bar", "rhinoceros beetle", "reel",
         "prayer rug", "lion", "French bulldog", "tile roof", "combination lock", "snorkel", "missile", "cliff", "tank", "wok"]
ROOMS = {"frontal": "a house", "bathroom": "a bathroom", "bedroom": "a bedroom", "kitchen": "a kitchen"}
FARM = {"ca": ["a cat"], "co": ["a cow"], "do": ["a dog"], "ho": ["a horse"], "sh": ["a sheep"]}
# Kinds of things by COCO's numbers; people are on most photos, and told by the captions.
KINDS = {2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck", 9: "boat", 10: "traffic light",
         11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat", 18: "dog", 19: "horse"}
UNTOLD = {"Not sure", "Other", "Skip"}  # photos of clothes that nobody named
CAPTCHA = 5  # every how many of its 70,000 alike photos is taken
COREL = ["african people", "a beach", "ancient buildings", "a bus", "a dinosaur", "an elephant", "a flower", "a horse", "mountains", "food"]


def words(name):
    return re.sub(r"[_\-]+", " ", name).strip().lower()


def folders(root, pattern, depth=-2):
    """Photos whose label is the name of the folder they lie in."""
    for file in sorted(root.glob(pattern)):
        yield file, [words(file.parts[depth])]


def sources(raw):
    """Every photo with its texts; sources that are not there are named and left out."""
    synsets = json.load(open(raw / "wordnet_ids.json")) if (raw / "wordnet_ids.json").exists() else {}
    for file in sorted((raw / "samples").glob("*.JPEG")):
        yield "samples", file, [words(file.stem.split("_", 1)[1])]
    for file, label in folders(raw / "caltech101", "101_ObjectCategories/*/*.jpg"):
        yield "caltech101", file, [] if label[0].startswith("background") else [label[0].replace(" easy", "")]
    for file in sorted((raw / "pacs").glob("PACS/*/*/*.*")):
        style = {"art_painting": "painting", "photo": "photo"}.get(file.parts[-3], file.parts[-3])
        yield "pacs", file, [f"{words(file.parts[-2])} {style}" if style != "photo" else words(file.parts[-2])]
    for file in sorted((raw / "imagenette").glob("*/n*/*.JPEG")):
        yield "imagenette", file, [synsets[file.parts[-2]]] if file.parts[-2] in synsets else []
    for file in sorted((raw / "imagen").glob("imagen/*.jpg")):
        yield "imagen", file, [words(file.stem.split("_", 2)[2])]
    for file in sorted((raw / "grocery").glob("dataset/t*/**/*.jpg")):
        kind, parent = words(file.parts[-2]), words(file.parts[-3])
        yield "grocery", file, [kind if parent in ("fruit", "vegetables", "packages") or parent in kind else f"{kind} {parent}"]
    names = {index: name for index, name in enumerate(synsets[key] for key in sorted(synsets))}
    told = raw / "nips17/dataset/images.csv"
    for row in csv.DictReader(open(told)) if told.exists() else []:
        yield "nips17", raw / f"nips17/dataset/images/{row['ImageId']}.png", [names[int(row["TrueLabel"]) - 1]]
    for file, label in folders(raw / "instruments", "train/*/*.jpg"):
        yield "instruments", file, [INSTRUMENTS.get(label[0], label[0])]
    told = raw / "monkeys/monkey_labels.txt"
    monkeys = dict(re.findall(r"(?m)^(n\d) *,[^,]*, *(\w+)", told.read_text())) if told.exists() else {}
    for file, label in folders(raw / "monkeys", "training/*/*.*"):
        yield "monkeys", file, [words(monkeys[label[0]])]
    for file, label in folders(raw / "scenes", "*/*/*.jpg"):
        yield "scenes", file, label
    for file in sorted((raw / "mini").glob("*/n*/*.jpg")):
        yield "mini", file, [synsets[file.parts[-2]]] if file.parts[-2] in synsets else []
    for source, pattern in (("imagewoof", "*/n*/*.JPEG"), ("inmini", "imagenet-mini/*/n*/*.JPEG"), ("thousand", "data/*/n*/*.JPEG")):
        for file in sorted((raw / source).glob(pattern)):
            yield source, file, [synsets[file.parts[-2]]] if file.parts[-2] in synsets else []
    for file, label in folders(raw / "clothing", "*/*/*.jpg"):
        yield "clothing", file, label
    for file, label in folders(raw / "flowers", "flowers/*/*.jpg"):
        yield "flowers", file, [f"{label[0]} flower"]
    told = raw / "catsdogs/dataset/breed_dataset/dog_breeds/labels.csv"
    breeds = {row["id"]: words(row["breed"]) for row in csv.DictReader(open(told))} if told.exists() else {}
    for file in sorted((raw / "catsdogs").glob("dataset/*/*/*/*.jp*g")):
        yield "catsdogs", file, [breeds[file.stem]] if file.stem in breeds else []
    captions = flickr_captions(raw / "flickr/data/captions.txt")
    for file in sorted((raw / "flickr/data/images").glob("*.jpg")):
        yield "flickr", file, captions.get(file.name, [])
    captions = flickr_captions(raw / "flickr8k/captions.txt")
    for file in sorted((raw / "flickr8k/data/images").glob("*.jpg")):
        if not (raw / "flickr/data/images" / file.name).exists():  # the thousand that "flickr" has
            yield "flickr8k", file, captions.get(file.name, [])
    told = raw / "acuity/ILSVRC2012_VAL_SET/dataset.txt"
    for name, index in (line.split(",") for line in open(told)) if told.exists() else []:
        yield "acuity", told.parent / name.strip(), [names[int(index)]]
    for file, label in folders(raw / "birds", "ex03/task2/bird_dataset/images/*/*.jpg"):
        yield "birds", file, label
    for file in sorted((raw / "corel").glob("src/cbir/corelDB/*.jpg")):
        yield "corel", file, [COREL[int(file.stem) // 100]]
    things = things_seen(raw / "voc/HandledText/annotations.txt")
    for file in sorted((raw / "voc").glob("JPEGImages/*.jpg")):
        yield "voc", file, things.get(file.name, [])
    for file, label in folders(raw / "animals", "*/*.png"):
        yield "animals", file, label
    for file in sorted((raw / "bsds").glob("BSDS500/data/images/*/*.jpg")):
        yield "bsds", file, []
    scenes = {file.name: file for file in sorted((raw / "sun").glob("**/sun_*.jpg"))}  # the repositories share some
    for file in scenes.values():
        yield "sun", file, [words(file.parts[-2])]
    yield from everyday(raw)
    for file, label in folders(raw / "sketchy", "photo/*/*.jpg"):
        yield "sketchy", file, [synsets.get(file.name.split("_")[0], label[0])]
    yield from coco(raw / "coco")
    tiny = {line.split("\t")[0]: line.split("\t")[1].split(",")[0].strip()
            for line in open(raw / "tiny/tiny-imagenet-200/words.txt")} if (raw / "tiny").exists() else {}
    for file in sorted((raw / "tiny").glob("tiny-imagenet-200/train/*/images/*.JPEG")):
        yield "tiny", file, [tiny[file.parts[-3]].lower()]


def everyday(raw):
    """What people take photos of: captioned ones, rooms, furniture, food, farm animals, tools, receipts, landscapes."""
    for name in ("train", "test"):
        told = raw / f"coco40/data/{name}.csv"
        for row in csv.DictReader(open(told, encoding="utf-8", newline="")) if told.exists() else []:
            kinds = [KINDS[n] for n in map(int, row.get("Labels", "").split()) if n in KINDS]
            yield "coco40", raw / "coco40/data/data" / row["ImageID"], [row["Caption"].strip(), *kinds]
    told = raw / "sysu/sentences.json"
    # Its last lists end with a comma, which JSON has not.
    for row in json.loads(re.sub(r",(\s*[}\]])", r"\1", told.read_text()))["imgs"] if told.exists() else []:
        yield "sysu", raw / "sysu/images" / row["file_name"], [text.strip() for text in row.get("sentences", [])]
    for part in ("train", "test"):
        told = raw / f"crisp/dataset/{part}.list"
        for line in open(told) if told.exists() else []:
            number, name = line.split()
            yield "crisp", raw / "crisp/dataset/images" / name, [CRISP[int(number)].lower()]
    for file in sorted((raw / "houses").glob("Houses Dataset/*_*.jpg")):
        yield "houses", file, [ROOMS[file.stem.split("_")[1]]]
    for file in sorted((raw / "receipts").glob("data/img/*.jpg")):
        yield "receipts", file, ["a receipt"]
    for file in sorted((raw / "recipes").glob("images/*.jpg")):
        note = raw / f"recipes/photos/{file.name}"
        yield "recipes", file, [json.loads(note.read_text()).get("title", "").strip()] if note.exists() else []
    for file in sorted((raw / "farm").glob("images/*.jp*g")):
        yield "farm", file, FARM.get(file.stem[:2], [])
    for file, label in folders(raw / "captcha", "*/*.jpg"):
        if "cloud" not in label[0] and label[0] != "empty" and int(file.stem) % CAPTCHA == 0:
            yield "captcha", file, [label[0].replace("bus motorbus", "bus").replace("motorbus", "bus").replace("vertical ", "")]
    told = raw / "butterflies/Training_set.csv"
    for row in csv.DictReader(open(told)) if told.exists() else []:
        yield "butterflies", told.parent / "train" / row["filename"], [f"{words(row['label'])} butterfly"]
    told = raw / "wardrobe/images.csv"
    for row in csv.DictReader(open(told)) if told.exists() else []:
        if row["label"] not in UNTOLD:
            yield "wardrobe", told.parent / f"images/{row['image']}.jpg", [words(row["label"])]
    for file, label in folders(raw / "ikea", "images/*/*.jpg"):
        yield "ikea", file, [] if label[0] in ("objects", "room scenes") else label
    for source, pattern in (("furniture", "images/*.jpg"), ("tools", "images/*.jpg"), ("landscapes", "t*/*.jpg"), ("poems", "data/images/*.jpg")):
        for file in sorted((raw / source).glob(pattern)):
            yield source, file, []


def flickr_captions(path):
    found = {}
    if path.exists():
        for line in open(path, encoding="utf-8"):
            name, _, text = line.strip().partition(",")
            if name.endswith(".jpg") and text:
                found.setdefault(name, []).append(text.strip().strip('"'))
    return found


def things_seen(path):
    """A photo's kinds of things, of lines "NAME.jpg", then "KIND x y x y" for each thing, then their count."""
    found, here = {}, set()
    for line in open(path) if path.exists() else []:
        first, *box = line.split() or [""]
        if first.endswith(".jpg"):
            here = found.setdefault(first, set())
        elif len(box) == 4:
            here.add(words(first))
    return {name: sorted(kinds) for name, kinds in found.items()}


def coco(folder):
    for part in ("train2017", "val2017"):
        notes = folder / "annotations" / f"captions_{part}.json"
        if not notes.exists():
            continue
        told = json.load(open(notes))
        texts = {}
        for row in told["annotations"]:
            texts.setdefault(row["image_id"], []).append(row["caption"].strip())
        for file in sorted((folder / part).glob("*.jpg")):
            yield "coco", file, texts.get(int(file.stem), [])

"""The outlines of product types: polygons and ellipses on a square of 100 by 100, y downwards.

A part is `kind: x,y x,y ..`. Kinds: body and trim are polygons, the body in the product's color and pattern, the trim
in its second color; oval and ring are ellipses from corner to corner, the oval as the body, the ring a line of the
trim; hole is an ellipse of background; line is a line of the trim.
"""

OUTLINES: dict[str, str] = {
    "boot": "body: 30,12 56,12 57,50 78,60 88,70 88,78 30,78; trim: 28,78 90,78 90,85 52,85 48,82 42,86 28,86",
    "sneaker": "body: 12,44 26,38 38,48 58,53 80,62 90,72 90,76 12,76; trim: 10,76 91,76 90,85 12,86;"
    " line: 38,52 50,46; line: 46,55 57,49; line: 54,58 64,53",
    "sandal": "trim: 10,74 90,76 90,83 10,83; body: 16,74 26,44 36,44 30,74; body: 52,75 62,54 76,60 74,75;"
    " line: 30,46 58,72",
    "flip flop": "oval: 14,12 44,88; oval: 56,12 86,88; line: 29,30 18,54; line: 29,30 40,54; line: 71,30 60,54;"
    " line: 71,30 82,54",
    "slipper": "body: 12,74 14,66 40,66 44,46 66,50 86,64 90,74 90,78 12,78; trim: 10,78 91,78 90,84 12,84",
    "heel": "body: 12,36 24,34 42,54 68,68 90,76 91,82 62,82 38,68 22,54 14,46; trim: 13,44 24,54 19,86 15,86",
    "flat": "body: 12,58 20,54 36,66 62,66 86,72 91,79 12,79; trim: 11,79 91,79 90,82 12,82",
    "loafer": "body: 12,52 26,46 40,58 56,52 82,66 90,76 12,76; trim: 10,76 91,76 91,82 34,82 32,85 11,85;"
    " line: 40,60 62,58",
    "insole": "oval: 22,10 48,90; oval: 54,10 80,90; hole: 30,62 40,78; hole: 62,62 72,78",
    "top": "body: 34,16 44,22 56,22 66,16 88,30 80,46 70,40 70,88 30,88 30,40 20,46 12,30; line: 42,20 50,26;"
    " line: 50,26 58,20",
    "long top": "body: 34,14 44,20 56,20 66,14 80,24 92,76 80,80 70,42 70,90 30,90 30,42 20,80 8,76 20,24;"
    " line: 44,20 50,25; line: 50,25 56,20",
    "tank": "body: 34,14 42,14 44,30 56,30 58,14 66,14 70,40 70,88 30,88 30,40",
    "open top": "body: 34,14 45,18 48,90 28,90 30,42 20,82 8,78 20,24;"
    " body: 66,14 55,18 52,90 72,90 70,42 80,82 92,78 80,24",
    "coat": "body: 34,10 66,10 80,20 92,70 80,74 72,44 76,94 24,94 28,44 20,74 8,70 20,20; line: 50,12 50,92;"
    " line: 30,62 42,62; line: 58,62 70,62",
    "suit": "body: 34,10 66,10 80,20 90,72 79,74 71,42 72,86 28,86 29,42 21,74 10,72 20,20; trim: 42,10 58,10 50,48;"
    " line: 50,48 50,84",
    "dress": "body: 36,10 42,10 45,22 55,22 58,10 64,10 66,40 84,90 16,90 34,40; line: 35,42 65,42",
    "gown": "body: 38,12 50,20 62,12 63,36 60,44 88,96 12,96 40,44 37,36; line: 40,44 60,44",
    "trousers": "body: 32,8 68,8 76,94 60,94 50,34 40,94 24,94; line: 32,14 68,14",
    "leggings": "body: 34,8 66,8 66,94 56,94 50,32 44,94 34,94; line: 34,14 66,14",
    "shorts": "body: 28,26 72,26 82,74 54,74 50,48 46,74 18,74; line: 28,33 72,33",
    "skirt": "body: 36,16 64,16 86,84 14,84; line: 36,23 64,23",
    "swimsuit": "body: 36,12 42,12 46,32 54,32 58,12 64,12 66,50 68,66 54,86 46,86 32,66 34,50",
    "jumpsuit": "body: 36,8 42,8 45,20 55,20 58,8 64,8 67,42 78,94 60,94 50,56 40,94 22,94 33,42; line: 34,42 66,42",
    "pajamas": "body: 34,8 66,8 90,40 80,46 68,30 68,52 32,52 32,30 20,46 10,40;"
    " body: 32,56 68,56 74,94 58,94 50,68 42,94 26,94",
    "suitcase": "body: 24,26 76,26 76,86 24,86; line: 40,26 40,10; line: 60,26 60,10; line: 40,10 60,10;"
    " line: 38,32 38,80; line: 62,32 62,80; ring: 26,86 34,94; ring: 66,86 74,94",
    "backpack": "body: 30,16 70,16 80,34 82,90 18,90 20,34; trim: 30,56 70,56 70,84 30,84; ring: 42,6 58,20",
    "tote": "body: 16,40 84,40 78,90 22,90; ring: 32,12 68,66",
    "small bag": "body: 18,46 82,46 82,84 18,84; trim: 18,46 82,46 70,64 30,64; line: 18,48 40,10; line: 82,48 60,10;"
    " line: 40,10 60,10",
    "duffel": "oval: 8,36 92,88; ring: 36,14 64,58; line: 24,42 24,82; line: 76,42 76,82",
    "wallet": "body: 14,30 86,30 86,76 14,76; line: 14,46 86,46; ring: 46,50 54,58",
    "cubes": "body: 10,50 50,50 50,90 10,90; body: 54,36 92,36 92,90 54,90; body: 18,18 50,18 50,46 18,46;"
    " line: 14,56 46,56",
    "necklace": "ring: 20,6 80,70; oval: 42,62 58,86",
    "earrings": "ring: 20,20 42,42; ring: 58,20 80,42; oval: 22,42 40,82; oval: 60,42 78,82",
    "ring": "ring: 24,30 76,88; oval: 38,10 62,36",
    "bracelet": "ring: 10,26 90,80; oval: 42,70 58,86",
    "watch": "body: 40,4 60,4 62,96 38,96; oval: 26,28 74,72; hole: 34,36 66,64; line: 50,50 50,40; line: 50,50 58,54",
    "sunglasses": "oval: 8,38 46,66; oval: 54,38 92,66; line: 44,46 56,46; line: 8,46 4,30; line: 92,46 96,30",
    "hat": "oval: 4,56 96,80; body: 28,62 32,26 68,26 72,62; line: 29,60 71,60",
    "cap": "body: 18,60 22,36 40,24 60,26 72,40 74,60; trim: 60,56 96,64 94,70 60,66",
    "beanie": "body: 22,66 26,36 42,20 58,20 74,36 78,66; trim: 18,64 82,64 82,82 18,82; oval: 42,8 58,24",
    "gloves": "body: 12,90 12,44 18,20 36,20 42,50 40,90; body: 60,90 58,50 64,20 82,20 88,44 88,90;"
    " line: 12,74 40,74; line: 60,74 88,74",
    "scarf": "body: 30,10 70,10 76,30 56,36 62,92 40,92 44,36 24,30; line: 40,84 62,84",
    "belt": "body: 4,42 96,42 96,58 4,58; ring: 6,36 26,64",
    "tie": "body: 42,6 58,6 62,20 54,24 64,76 50,94 36,76 46,24 38,20",
    "bow": "body: 50,50 14,24 14,76; body: 50,50 86,24 86,76; oval: 42,42 58,58",
    "box": "body: 18,26 82,26 82,80 18,80; line: 18,40 82,40",
}  # fmt: skip

# outline -> the product types that have it; all others are a box
_TYPES: dict[str, str] = {
    "boot": "Ankle Boots|Snow Boots|Rain Boots|Hiking Boots|Work Boots",
    "sneaker": "Running Shoes|Walking Shoes|Casual Sneakers|Water Shoes",
    "sandal": "Sandals", "flip flop": "Flip Flops", "slipper": "Slippers", "heel": "High Heels", "flat": "Ballet Flats",
    "loafer": "Loafers|Oxfords", "insole": "Insoles",
    "top": "T Shirts", "long top": "Blouses|Sweaters|Hoodies|Dress Shirts", "tank": "Sports Tops",
    "open top": "Cardigans", "coat": "Winter Coats|Rain Jackets", "suit": "Suits", "dress": "Casual Dresses",
    "gown": "Formal Dresses", "trousers": "Jeans", "leggings": "Leggings", "shorts": "Shorts", "skirt": "Skirts",
    "swimsuit": "Swimwear", "jumpsuit": "Jumpsuits", "pajamas": "Pajamas",
    "suitcase": "Carry On Luggage|Luggage Sets", "backpack": "Travel Backpacks|School Backpacks",
    "tote": "Tote Bags|Beach Bags|Shoulder Bags", "small bag": "Crossbody Bags|Fanny Packs|Laptop Bags",
    "duffel": "Duffel Bags|Lunch Bags", "wallet": "Wallets|Clutches", "cubes": "Packing Cubes",
    "necklace": "Necklaces", "earrings": "Earrings", "ring": "Rings", "bracelet": "Bracelets", "watch": "Watches",
    "sunglasses": "Sunglasses", "hat": "Sun Hats", "cap": "Baseball Caps", "beanie": "Beanies", "gloves": "Gloves",
    "scarf": "Scarves", "belt": "Belts", "tie": "Ties", "bow": "Hair Accessories",
}  # fmt: skip
OUTLINE_OF = {kind: outline for outline, kinds in _TYPES.items() for kind in kinds.split("|")}

Part = tuple[str, list[tuple[float, float]]]


def parts(outline: str) -> list[Part]:
    """The parts of an outline, those below first.

    >>> parts("tank")[0][0], parts("tank")[0][1][:2]
    ('body', [(34.0, 14.0), (42.0, 14.0)])
    """
    found = []
    for part in OUTLINES[outline].split(";"):
        kind, _, points = part.partition(":")
        pairs = [point.split(",") for point in points.split()]
        found.append((kind.strip(), [(float(x), float(y)) for x, y in pairs]))
    return found

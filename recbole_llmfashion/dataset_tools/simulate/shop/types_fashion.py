"""The product types of the paper's four fashion categories (Table 1).

Fields of a line: name; nouns; materials; features; sizes; price; weight; season; occasions; audiences (empty for all of
the category); companion.
"""

# ruff: noqa: E501
from dataclasses import replace

from recbole_llmfashion.dataset_tools.simulate.shop.products import (
    FASHION,
    FASHION_STYLES,
    Category,
    ProductType,
)


def _types(table: str) -> tuple[ProductType, ...]:
    """Parse the tables below; fields are separated by `;`, values of a field by `|`."""
    parsed = []
    for line in table.strip().splitlines():
        cells = [field.strip() for field in line.split(";")]
        name, sizes, price, weight, season, companion = (cells[i] for i in (0, 4, 5, 6, 7, 10))
        nouns, materials, features, occasions, audiences = (
            tuple(part for part in cells[i].split("|") if part) for i in (1, 2, 3, 8, 9)
        )
        kind = ProductType(name, nouns, materials, features, sizes, float(price), float(weight), season, occasions)
        parsed.append(replace(kind, audiences=audiences, companion=companion))
    return tuple(parsed)


_FOOTWEAR = """
Ankle Boots; Ankle Boots|Booties|Chelsea Boots|Short Boots; Suede|Faux Leather|Leather; Side Zipper|Chunky Heel|Block Heel|Slip On; shoe; 58; 1.4; winter; work|party; Women|Men; Slippers
Snow Boots; Snow Boots|Winter Boots|Warm Boots; Faux Fur|Nylon|Rubber; Waterproof|Fur Lined|Insulated|Non Slip; shoe; 62; 1.3; winter; outdoor|christmas; ; Slippers
Rain Boots; Rain Boots|Rubber Boots|Wellies; Rubber|PVC; Waterproof|Non Slip|Wide Calf; shoe; 38; 0.6; ; outdoor|school; ;
Running Shoes; Running Shoes|Running Sneakers|Tennis Shoes|Athletic Shoes; Mesh|Knit; Breathable|Cushioned|Arch Support|Lightweight; shoe; 64; 2.2; ; gym|school; ; Insoles
Walking Shoes; Walking Shoes|Walking Sneakers|Comfort Shoes; Mesh|Knit|Canvas; Memory Foam|Arch Support|Slip On|Wide Width; shoe; 52; 1.8; ; travel|work; ; Insoles
Casual Sneakers; Casual Sneakers|Fashion Sneakers|Trainers|Low Top Shoes; Canvas|Leather|Faux Leather; Platform|Lace Up|Low Top|Slip On; shoe; 48; 2.2; ; school|travel; ; Insoles
Sandals; Sandals|Flat Sandals|Strappy Sandals|Walking Sandals; Leather|Faux Leather|Cork; Ankle Strap|Open Toe|Arch Support|Adjustable Strap; shoe; 36; 2; summer; beach|travel|wedding; ; Flip Flops
Flip Flops; Flip Flops|Thong Sandals|Slides; EVA|Rubber; Soft Footbed|Quick Dry|Non Slip; shoe; 20; 1; summer; beach; ; Water Shoes
Water Shoes; Water Shoes|Aqua Socks|Swim Shoes; Neoprene|Mesh; Quick Dry|Barefoot|Non Slip; shoe; 24; 0.7; summer; beach|outdoor; ; Flip Flops
Slippers; Slippers|House Shoes|House Slippers; Plush|Wool|Faux Fur; Memory Foam|Fuzzy|Indoor Outdoor; shoe; 24; 1.2; winter; christmas|valentine; ;
High Heels; High Heels|Pumps|Stiletto Heels|Heeled Sandals; Satin|Suede|Faux Leather; Pointed Toe|Ankle Strap|Block Heel|Rhinestone; shoe; 49; 1.4; ; wedding|party|work; Women; Insoles
Ballet Flats; Ballet Flats|Flats|Slip On Flats; Knit|Suede|Faux Leather; Pointed Toe|Foldable|Bow; shoe; 34; 1; ; work|wedding; Women; Insoles
Loafers; Loafers|Moccasins|Driving Shoes|Slip On Loafers; Leather|Suede; Penny|Tassel|Memory Foam; shoe; 55; 1; ; work|travel; Women|Men; Insoles
Oxfords; Oxfords|Dress Shoes|Oxford Shoes|Formal Shoes; Leather|Faux Leather; Wingtip|Cap Toe|Lace Up; shoe; 68; 0.9; ; work|wedding; Men|Boys; Insoles
Hiking Boots; Hiking Boots|Trail Shoes|Hiking Shoes|Trekking Boots; Suede|Nubuck|Mesh; Waterproof|Mid Top|Non Slip|Lightweight; shoe; 76; 1; ; outdoor|travel; ; Insoles
Work Boots; Work Boots|Safety Boots|Steel Toe Boots; Leather|Nubuck; Steel Toe|Oil Resistant|Waterproof; shoe; 92; 0.7; ; work; Men|Women; Insoles
Insoles; Insoles|Shoe Inserts|Shoe Insoles; Gel|Foam; Arch Support|Shock Absorbing|Plantar Fasciitis; soft; 18; 0.5; ; work|gym; Women|Men;
"""
_LUGGAGE = """
Carry On Luggage; Carry On Luggage|Cabin Suitcase|Rolling Suitcase; Polycarbonate|ABS|Softside; Spinner Wheels|TSA Lock|Expandable|USB Port; case; 95; 1.6; ; travel; ; Packing Cubes
Luggage Sets; Luggage Set|Suitcase Set|3 Piece Luggage; Polycarbonate|ABS; Spinner Wheels|TSA Lock|Hardshell; case; 170; 1; ; travel|christmas; ; Packing Cubes
Travel Backpacks; Travel Backpack|Backpack|Daypack; Nylon|Polyester|Canvas; Water Resistant|Laptop Compartment|Anti Theft; bag; 42; 1.7; ; travel|outdoor; ; Packing Cubes
School Backpacks; School Backpack|Bookbag|School Bag; Polyester|Canvas; Lightweight|Multi Pocket|Reflective; bag; 34; 1.3; ; school; ; Lunch Bags
Laptop Bags; Laptop Bag|Briefcase|Messenger Bag; Nylon|Leather|Canvas; Padded|Slim|Water Resistant; bag; 46; 1; ; work|school; ;
Tote Bags; Tote Bag|Handbag|Shopper Bag; Canvas|Faux Leather|Leather; Zipper|Large Capacity|Reversible; bag; 36; 1.7; ; work|school; Women; Wallets
Crossbody Bags; Crossbody Bag|Crossbody Purse|Sling Bag; Faux Leather|Leather|Nylon; Adjustable Strap|RFID Blocking|Quilted; one; 30; 1.8; ; travel|valentine; ; Wallets
Shoulder Bags; Shoulder Bag|Hobo Purse|Satchel; Faux Leather|Leather; Chain Strap|Slouchy|Quilted; one; 38; 1.2; ; work|christmas; Women; Wallets
Clutches; Clutch|Evening Bag|Clutch Purse; Satin|Sequin|Faux Leather; Rhinestone|Chain|Envelope; one; 26; 0.9; ; wedding|party; Women;
Duffel Bags; Duffel Bag|Weekender Bag|Gym Bag; Canvas|Nylon; Shoe Compartment|Foldable|Wet Pocket; bag; 36; 1; ; gym|travel; ;
Fanny Packs; Fanny Pack|Waist Bag|Belt Bag; Nylon|Faux Leather; Waterproof|Running|Adjustable; one; 18; 1; summer; travel|outdoor; ;
Beach Bags; Beach Bag|Beach Tote|Straw Bag; Straw|Mesh|Canvas; Sand Proof|Large Capacity|Waterproof Lining; one; 26; 0.8; summer; beach; Women;
Packing Cubes; Packing Cubes|Luggage Organizer|Travel Organizer; Nylon|Mesh; Compression|6 Set|Water Resistant; one; 22; 0.8; ; travel; ;
Wallets; Wallet|Card Holder|Bifold Wallet; Leather|Faux Leather; RFID Blocking|Slim|Zip Around; one; 24; 1; ; christmas|valentine; ;
Lunch Bags; Lunch Bag|Lunch Box|Cooler Bag; Polyester|Neoprene; Insulated|Leakproof|Reusable; one; 18; 0.7; ; school|work; ;
"""
_ACCESSORIES = """
Necklaces; Necklace|Pendant Necklace|Choker|Layered Necklace; 14K Gold Plated|Sterling Silver|Stainless Steel; Initial|Heart|Cubic Zirconia|Birthstone; one; 24; 2.2; ; valentine|christmas|wedding; Women|Girls; Earrings
Earrings; Earrings|Stud Earrings|Hoop Earrings|Drop Earrings; 14K Gold Plated|Sterling Silver|Pearl; Hypoallergenic|Dangle|Cubic Zirconia; one; 18; 2.2; ; wedding|party|valentine; Women|Girls; Necklaces
Rings; Ring|Band|Stackable Ring|Engagement Ring; Sterling Silver|Tungsten|14K Gold Plated; Cubic Zirconia|Comfort Fit|Adjustable; ring; 28; 1.5; ; wedding|valentine; Women|Men; Bracelets
Bracelets; Bracelet|Bangle|Charm Bracelet|Tennis Bracelet; Sterling Silver|Beaded|Leather; Adjustable|Charm|Magnetic; soft; 22; 1.5; ; valentine|christmas; ; Necklaces
Watches; Watch|Wrist Watch|Quartz Watch; Stainless Steel|Leather Strap|Silicone; Waterproof|Chronograph|Minimalist; one; 68; 1.2; ; christmas|work; ; Bracelets
Sunglasses; Sunglasses|Shades|Polarized Sunglasses; Acetate|Metal Frame; Polarized|Oversized|Aviator|UV Protection; one; 20; 1.6; summer; beach|travel; ; Sun Hats
Sun Hats; Sun Hat|Bucket Hat|Beach Hat|Straw Hat; Straw|Cotton; Wide Brim|Foldable|UPF 50; soft; 22; 1; summer; beach|outdoor; ; Sunglasses
Baseball Caps; Baseball Cap|Trucker Hat|Dad Hat; Cotton|Mesh; Adjustable|Distressed|Embroidered; one; 18; 1.1; ; gym|outdoor; ;
Beanies; Beanie|Winter Hat|Knit Hat; Wool|Knit|Fleece; Fleece Lined|Slouchy|Pom Pom; one; 16; 1.2; winter; outdoor|christmas; ; Gloves
Gloves; Gloves|Mittens|Touchscreen Gloves; Leather|Fleece|Wool; Touchscreen|Waterproof|Thermal; soft; 20; 1.1; winter; outdoor|christmas; ; Scarves
Scarves; Scarf|Shawl|Blanket Scarf|Infinity Scarf; Cashmere Feel|Wool|Silk Feel; Plaid|Oversized|Soft; one; 21; 1.2; winter; christmas|wedding; Women|Men; Gloves
Belts; Belt|Dress Belt|Waist Belt; Leather|Faux Leather|Canvas; Reversible|Ratchet|Wide; letter; 22; 1; ; work|wedding; ; Ties
Ties; Tie|Necktie|Bow Tie; Silk|Polyester; Striped|Paisley|Skinny; one; 16; 0.7; ; wedding|work; Men|Boys; Belts
Hair Accessories; Hair Clips|Headband|Hair Claw|Scrunchies; Satin|Velvet|Acetate; Pearl|Large|Non Slip; one; 11; 1.3; ; wedding|school|party; Women|Girls;
"""
_CLOTHING = """
T Shirts; T Shirt|Tee|Graphic Tee|Crewneck Tee; Cotton|Jersey; Short Sleeve|Graphic|Oversized|V Neck; letter; 19; 2.2; ; school|gym; ; Jeans
Blouses; Blouse|Tunic Top|Dressy Top|Button Down Shirt; Chiffon|Linen|Satin; Puff Sleeve|V Neck|Long Sleeve; letter; 27; 1.5; ; work|party; Women; Skirts
Casual Dresses; Casual Dress|Sundress|Midi Dress|Wrap Dress; Cotton|Rayon|Linen; Floral|Pockets|Sleeveless|Tiered; letter; 36; 2; summer; beach|travel|wedding; Women|Girls; Cardigans
Formal Dresses; Formal Dress|Cocktail Dress|Evening Gown|Bridesmaid Dress; Satin|Lace|Sequin; Off Shoulder|Bodycon|Maxi|Backless; letter; 58; 1.2; ; wedding|party|christmas; Women|Girls;
Jeans; Jeans|Denim Pants|Skinny Jeans|Straight Leg Jeans; Denim|Stretch Denim; High Waisted|Ripped|Relaxed Fit; letter; 44; 1.6; ; school; ; T Shirts
Leggings; Leggings|Yoga Pants|Tights; Spandex|Nylon; High Waist|Pockets|Tummy Control|Squat Proof; letter; 26; 1.4; ; gym; Women|Girls; Sports Tops
Sports Tops; Workout Top|Sports Bra|Athletic Shirt|Tank Top; Spandex|Polyester; Moisture Wicking|Racerback|Quick Dry; letter; 23; 1.2; ; gym; ; Leggings
Shorts; Shorts|Athletic Shorts|Chino Shorts|Bermuda Shorts; Cotton|Linen|Polyester; Drawstring|Pockets|Elastic Waist; letter; 25; 1.3; summer; beach|gym; ; T Shirts
Swimwear; Swimsuit|Bathing Suit|Bikini|Swim Trunks; Nylon|Polyester; Tummy Control|High Waisted|Quick Dry|UPF 50; letter; 33; 1.3; summer; beach|travel; ; Shorts
Skirts; Skirt|Midi Skirt|Pleated Skirt|Mini Skirt; Satin|Denim|Cotton; High Waist|A Line|Pleated; letter; 29; 0.9; ; work|party; Women|Girls; Blouses
Sweaters; Sweater|Pullover|Knit Top|Jumper; Knit|Wool|Cashmere Feel; Turtleneck|Oversized|Cable Knit; letter; 38; 1.5; winter; work|christmas; ; Jeans
Cardigans; Cardigan|Open Front Sweater|Knit Cardigan; Knit|Cotton; Open Front|Long|Button Up; letter; 35; 0.9; winter; work; Women|Girls;
Hoodies; Hoodie|Sweatshirt|Zip Up Hoodie|Fleece Pullover; Fleece|Cotton; Full Zip|Oversized|Kangaroo Pocket; letter; 37; 1.6; winter; school|gym; ; Jeans
Winter Coats; Winter Coat|Puffer Jacket|Parka|Down Jacket; Nylon|Wool|Polyester; Hooded|Waterproof|Faux Fur Trim; letter; 84; 1.4; winter; outdoor|christmas; ; Sweaters
Rain Jackets; Rain Jacket|Raincoat|Windbreaker; Nylon|Polyester; Waterproof|Packable|Hooded; letter; 45; 0.7; ; outdoor|travel; ;
Dress Shirts; Dress Shirt|Oxford Shirt|Button Up Shirt; Cotton|Linen; Slim Fit|Wrinkle Free|Long Sleeve; letter; 33; 0.9; ; work|wedding; Men|Boys; Suits
Suits; Suit|Blazer|Sport Coat|Tuxedo; Wool|Polyester; Slim Fit|2 Piece|Notch Lapel; letter; 105; 0.7; ; wedding|work|party; Men|Women|Boys; Dress Shirts
Pajamas; Pajama Set|Pajamas|Sleepwear|Loungewear; Satin|Cotton|Fleece; Button Down|Matching|Soft; letter; 31; 1.1; winter; christmas|valentine; ;
Jumpsuits; Jumpsuit|Romper|Overalls; Rayon|Cotton; Wide Leg|Sleeveless|Pockets; letter; 38; 0.7; summer; travel|party; Women|Girls;
"""

_EVERYBODY = (("Women", 0.5), ("Men", 0.3), ("Girls", 0.1), ("Boys", 0.1))
FASHION_CATEGORIES = (
    Category(
        "luggage_bags", 10_611, 61_550, 12.41, (("Women", 0.55), ("Men", 0.25), ("Unisex", 0.2)), FASHION_STYLES,
        _types(_LUGGAGE), FASHION,
    ),
    Category("footwear", 63_273, 380_385, 11.29, _EVERYBODY, FASHION_STYLES, _types(_FOOTWEAR), FASHION),
    Category(
        "accessories_jewelry", 106_104, 524_433, 12.98, (("Women", 0.6), ("Men", 0.26), ("Girls", 0.08), ("Boys", 0.06)),
        FASHION_STYLES, _types(_ACCESSORIES), FASHION,
    ),
    Category("clothing", 274_285, 1_386_910, 13.25, _EVERYBODY, FASHION_STYLES, _types(_CLOTHING), FASHION),
)  # fmt: skip

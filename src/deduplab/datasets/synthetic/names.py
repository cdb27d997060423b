"""Names: of people, places, goods and machines, for fields that look real and mean nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: Final = _words(
    "Ada Ali Amir Ana Anna Arun Asha Bea Ben Bela Carl Chen Clara Dana Dario David Diana Dina "
    "Edgar Elena Elias Emil Emma Erik Esra Eva Fatma Felix Fiona Frida Georg Gloria Hanna Hugo "
    "Ida Ilse Imran Ines Ingrid Irina Ivan Jakob Jana Jamal Jonas Julia Karim Karin Kenji Klara "
    "Lars Laura Lea Leon Lin Linda Lucia Luis Maja Marco Maria Marta Maya Mei Mila Miriam Moritz "
    "Nadia Nico Nina Noah Nora Olga Omar Oskar Paula Pedro Petra Pia Priya Rafael Rania Ravi "
    "Rosa Ruben Samir Sara Selma Silas Sofia Sven Tamar Tara Theo Thomas Tilda Timo Uma Ute "
    "Valentin Vera Victor Wanda Xenia Yara Yusuf Zoe"
)
LAST_NAMES: Final = _words(
    "Abel Acker Adler Ahmadi Albers Amsel Anders Arndt Bach Baker Banerjee Barth Bauer Becker "
    "Berg Bergmann Blum Bora Brandt Braun Brenner Bruns Carver Castro Cohen Conti Costa Cruz "
    "Dahl Decker Diaz Dorn Ebert Ekman Engel Ernst Faber Falk Farmer Fink Fischer Forster Frank "
    "Fuchs Garcia Gruber Haas Hahn Hansen Hartmann Heller Hoang Holm Horvath Ivanov Jansen "
    "Jensen Kaiser Kaya Keller Khan Kim Klein Koch Kowalski Kramer Kumar Lang Larsen Lehmann "
    "Lindqvist Lopez Lorenz Marsh Martin Meier Mendes Miller Moreau Moser Nagel Nakamura Nguyen "
    "Nilsson Novak Okafor Olsen Park Patel Pavlova Perez Peters Popescu Quist Ramos Rao Reuter "
    "Richter Rossi Roth Sahin Santos Sato Schmidt Schubert Silva Singh Sokolov Sommer Stein "
    "Suzuki Tanaka Thorsen Ulrich Vargas Vogel Wagner Weaver Weber Winter Wolf Yamada Yilmaz "
    "Zander Zimmermann"
)
CITIES: Final = _words(
    "Aachen Accra Antwerp Athens Bergen Berlin Bilbao Bogota Bremen Cairo Chicago Cologne Cork "
    "Dakar Dresden Dublin Erfurt Geneva Ghent Graz Hamburg Hanoi Havana Helsinki Jena Kassel "
    "Kiel Krakow Kyoto Leipzig Lima Linz Lisbon London Lyon Madrid Mainz Malmo Milan Montreal "
    "Munich Nairobi Naples Nice Osaka Oslo Ottawa Paris Porto Potsdam Prague Quito Riga Rome "
    "Rostock Seoul Seville Sofia Stockholm Sydney Tallinn Tokyo Toronto Trier Tunis Turin Ulm "
    "Utrecht Vienna Vilnius Warsaw Weimar Zagreb Zurich"
)
STREETS: Final = _words(
    "Abbey Acorn Alder Apple Ash Barley Beech Birch Bridge Broad Canal Castle Cedar Chapel "
    "Cherry Church Clover Corn Elm Fern Field Forest Fountain Garden Gate Grove Harbour Hazel "
    "Heather High Hill Holly Ivy Juniper Kiln Lake Lark Lime Long Maple Market Meadow Mill Moor "
    "North Oak Orchard Park Pine Plum Poplar Pond Quarry Queen River Rose Rowan School South "
    "Spring Station Stone Sun Temple Thistle Tower Valley Vine Walnut Water Well West Willow Yew"
)
GOODS: Final = _words(
    "anvil apron axle basket battery belt blanket bolt book boots bottle bowl box bracket broom "
    "brush bucket cable camera candle chain chair clamp clock coat comb compass cord cup desk "
    "drill fan file filter flask fork frame funnel gasket gauge gloves grill hammer hanger helmet "
    "hinge hook hose jacket jar kettle key knife ladder lamp lens level lock magnet mat mirror "
    "mop mug nail needle notebook paddle pan pencil pillow pipe plate pliers plug pot pump rack "
    "radio rake razor ribbon rope ruler sail saw scale scarf screw shelf shovel sieve skillet "
    "socket spade spanner sponge spoon stool strap string switch table tape tent thermos thread "
    "tile timer torch towel tray trowel tube vase vest wallet wheel whistle wire wrench zipper"
)
QUALITIES: Final = _words(
    "amber black blue bronze brown coarse copper cotton dark deep dry fine flat folded green "
    "grey heavy large leather light linen long narrow oak old pale plain red rough round rubber "
    "short silver slim small smooth soft solid square steel stiff strong tall thick thin tin "
    "violet warm waxed white wide woven yellow"
)


def of_width(choices: Sequence[str], width: int) -> list[str]:
    """Return those texts that have this width."""
    return [choice for choice in choices if len(choice) == width]


def pairs_of_width(
    lefts: Sequence[str], rights: Sequence[str], width: int, between: str = " "
) -> list[str]:
    """Return all pairs (with ``between`` in the middle) that have this width together."""
    by_width: dict[int, list[str]] = {}
    for right in rights:
        by_width.setdefault(len(right), []).append(right)
    room = width - len(between)
    return [
        f"{left}{between}{right}" for left in lefts for right in by_width.get(room - len(left), ())
    ]


def people(width: int) -> list[str]:
    """Return full names of this width; there are hundreds for widths from 8 to 16."""
    return pairs_of_width(FIRST_NAMES, LAST_NAMES, width)


def goods(width: int) -> list[str]:
    """Return goods with a quality, as ``steel hammer``; hundreds for widths from 8 to 14."""
    return pairs_of_width(QUALITIES, GOODS, width)


def addresses(width: int) -> list[str]:
    """Return streets, house numbers and cities, as ``12 Elm Street, Oslo``."""
    roads = [f"{number} {street} Street" for street in STREETS for number in range(10, 100, 7)]
    return pairs_of_width(roads, CITIES, width, ", ")

"""Two hundred titles of many scripts and signs, and errors of one letter."""

from __future__ import annotations

import random
import unicodedata

TITLES = """
Rosemary's Baby|WALL·E|हिन्दी फ़िल्म|หนังไทย น้ำตา|O’Brother, Where Art Thou?
İstanbul Hatırası|L'illusionniste|One Flew Over the Cuckoo's Nest|Amélie|Das Leben der Anderen
Żyć nie umierać|Łódź Ghetto|Ærø|Smørrebrød|Çılgın Dersane|Şaban Oğlu Şaban|Ağır Roman
Kış Uykusu|Über uns das All|Die Fälscher|Mädchen in Uniform|À bout de souffle|Être et avoir
La Haine|Le Fabuleux Destin|L’Année dernière à Marienbad|Ça commence aujourd’hui
El laberinto del fauno|¡Átame!|¿Qué he hecho yo?|Mar adentro|Niño de Barro|São Bernardo
Cidade de Deus|Não por Acaso|Ладри ди велосипедов|Броненосец «Потёмкин»|Иди и смотри|Сталкер
Солярис|Андрей Рублёв|Летят журавли|Ёлки|Тіні забутих предків|Земля|Чорний ворон|Господар
Поп Ћира и поп Спира|Бела лађа|Θίασος|Ο Μελισσοκόμος|Στέλλα|Ποτέ την Κυριακή|Κυνόδοντας
Αστακός|שבלול|סיפור על אהבה וחושך|וַלס עם באשיר|ביקור התזמורת|المومياء|باب الحديد|كفرناحوم
وَدَاعًا بونابرت|الأرض الطيبة|رسائل البحر|جدایی نادر از سیمین|طعم گیلاس|بچه‌های آسمان
گاو مش حسن|शोले की आग|मुग़ल-ए-आज़म|दिलवाले दुल्हनिया|तारे ज़मीन पर|कहानी|পথের পাঁচালী
অপুর সংসার|மொழி பெயர்ப்பு|நாயகன்|மகாநதி கரையில்|మాయాబజార్|శంకరాభరణం|ಮುಂಗಾರು ಮಳೆ
മണിച്ചിത്രത്താഴ്|ਮਿੱਟੀ ਦੀ ਖ਼ੁਸ਼ਬੂ|ගම්පෙරළිය|ฟ้าทะลายโจร|ต้มยำกุ้ง|ลุงบุญมีระลึกชาติ
សង្គ្រាមស្នេហា|ແມ່ຂອງແລະຂ້ອຍ|千と千尋の神隠し|七人の侍|羅生門|東京物語|となりのトトロ
崖の上のポニョ|ゴジラ対メカゴジラ|リング２ 呪い|花樣年華|臥虎藏龍|霸王別姬|活着的人们
一一重庆森林|无间道|大紅燈籠高高掛|기생충 가족|올드보이|살인의 추억|봄 여름 가을 겨울
부산행 열차|ვედრება ხე|მონანიება|Նռան գույնը|Ավետիք|ሚሚ ታሪክ|Đường về nhà|Mùi đu đủ xanh
Chuyện của Pao|Spider-Man|X-Men: Days of Future Past|S.W.A.T.|E.T. the Extra-Terrestrial
M*A*S*H Unit|Se7en|8½ Women|2001: A Space Odyssey|12 Angry Men|(500) Days of Summer
I ♥ Huckabees|Love & Pop|Tick, Tick... Boom!|...And Justice for All|*batteries not included
Moulin Rouge!|What's Up, Doc?|Who Framed Roger Rabbit|AC/DC: Let There Be Rock|Face/Off
Frost/Nixon|(Untitled) Project|[REC] Genesis|$9.99 a Day|π – Faith in Chaos|C'mon C'mon
Don't Look Now|Mr. & Mrs. Smith|Dr. Strangelove|The Hitchhiker's Guide|Ocean's Eleven
Schindler's List|Pan's Labyrinth|Howl's Moving Castle|Miller's Crossing|A Bug's Life
Singin' in the Rain|'Round Midnight|Rock 'n' Roll High School|D'Artagnan|O Brother Theodore
Ni’ihau Boy|Hawaiʻi Aloha|Kaʻū Coast|Te Tangata Whai Rawa|Ngā Tamatoa|Toy Story|Toy Story 2
Star Wars|Star Trek|Blade Runner|Alien Nation|The Godfather|The Third Man|Casablanca
North by Northwest|Citizen Kane|Metropolis|Nosferatu|Sunrise|Vertigo|Rear Window|Chinatown
Jaws of Steel|Fitzcarraldo|Aguirre, der Zorn Gottes|Żona dla Australijczyka|Popiół i diament
Obchod na korze|Ostře sledované vlaky|Szegénylegények|Időjárás-jelentés|Kýchání kočky
Võta või jäta|Pärsia šahh|Ūdens stāsts|Žiemos pasaka|Íslenski draumurinn|Þrestir|Hrútar úr dal
Ég man þig|Kød og Blod|Blå øjne|Fröken Julie|Såsom i en spegel|Yeşilçam’ın Çocukları
Bir Zamanlar Anadolu’da|Qız Qalası|Ўтган кунлар|Мөнх тэнгэр|Ак кеме|Sən niyə susursan?
Mo Cuishle Mo Chroí|Dŵr a Thân|Ḥarb al-Ḥudūd|Nǐ hǎo, Běijīng|Tōkyō Monogatari
"""


def titles() -> list[str]:
    """Return the titles, which are distinct."""
    found = [one for line in TITLES.split("\n") for one in line.split("|") if one]
    assert len(found) == len(set(found)) >= 200
    return found


def with_an_error(title: str, draw: random.Random) -> str:
    """Return a title with one letter that is missing, added, replaced or exchanged for the next."""
    letters = [n for n, sign in enumerate(title) if unicodedata.category(sign)[0] in "LN"]
    while True:
        at, other = draw.choice(letters), title[draw.choice(letters)]
        before, sign, after = title[:at], title[at], title[at + 1 :]
        exchanged = before + after[:1] + sign + after[1:]
        wrong = draw.choice([before + after, before + other + sign + after, before + other + after])
        wrong = draw.choice([wrong, wrong, wrong, exchanged])
        if wrong != title:
            return wrong

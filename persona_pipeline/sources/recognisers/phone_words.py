"""List words that say what the digits behind them are: a telephone number, or anything else with a number."""

import re

_LATIN = (
    r"(?:tele)?phones?|phoned|tel|tels?\.|t[ée]l(?:[ée]phone)?|tel[ée]fono?n?|telefoon|telefone|telefonu?|tlf|tlm|fono"
    r"|ph|puh(?:elin)?"
    r"|mob(?:iles?|il)?|cell(?:phone|ulare?|ular)?|cel|kom|handy|natel|gsm|portable|móvil|móvel|celular|mobiili"
    r"|call(?:ed|ing|s)?|ring|rang|dial(?:l?ed)?|text(?:ed)?|sms|txt|what'?s ?app|wh?ats?app|wasap|viber|zalo|zap|wa"
    r"|fax|hotline|helpline"
    r"|contact|reach(?:ed)?|toll ?free|customer (?:service|care|support)|(?:my|his|her|their|our) (?:number|no)"
    r"|nummer|numm?[ée]ro|número|numero|numre"
    r"|contacter|contactez(?:-moi)?|appel(?:er?|ez)|joindre|joignable|service client"
    r"|anrufen|ruf(?:en)?|erreichbar|kundendienst|ll[aá]m(?:ar?|ame|e|en)|ll[aá]mame|marca|atención al cliente"
    r"|chiam\w+|assistenza|bel|bellen"
    r"|zadzwoń|dzwoń|volejte|ligu?e|liga|arayın|ara|hizmetleri|ring(?:a|er)?|nummeret?|kundtjänst|soita"
    r"|g[oọ]i|sđt|hubungi|sunati|hívjon|speak to|spoke (?:to|with)"
)
_CYRILLIC = r"звон\w*|позвон\w*|тел(?:ефон\w*)?|номер|дзвон\w*|моб\w*|вотсап|τηλ(?:έφωνο)?|κιν(?:ητό)?"
_OTHER = (
    r"电话|電話|手机|手機|拨打|致电|客服|联系|号码|携帯|전화|연락|고객센터|번호|โทร|เบอร์"
    r"|اتصل|رقمي|جوال|هاتف|واتساب|تماس|شماره|תלפון|טלפון|התקשר\w*|फोन|कॉल|मोबाइल|नंबर"
)

PHONE = re.compile(rf"(?:\b(?:{_LATIN}|{_CYRILLIC})\b|{_OTHER})", re.IGNORECASE)
PHONE_AFTER = re.compile(
    r"\W{0,3}(?:(?:is|er|is my|was)\b.{0,9}\b(?:number|phone|cell|nummer\w*)"
    r"|(?:whatsapp|wasap|viber|zalo|tel|phone|mobile|cell|txt|text|call)\b"
    r"|微信|문자|に電話|ist? meine nummer)",
    re.IGNORECASE,
)
NO_PHONE = re.compile(
    r"\b(?:parts?|p/n|model|modell|modèle|modelo|items?|sku|isbn(?:-1[03])?|issn|upc|ean|gtin|asin|barcode|order|invoice|serial|s/n|tracking"
    r"|version|firmware|driver|build|lot|batch|case|ticket|rma|ref|réf(?:érence)?|catalog\w*|artikel\w*|art|bestell\w*|teile\w*|auftrag\w*"
    r"|código|codigo|code|coupon|promo|claim|articolo|articulo|artículo|katalogowy|patent|imei|pin|password|passwort|cas|doi|arxiv|zip|plz"
    r"|account|video|id|score|timestamp|isrc|gpu|resolution|size|sizes|артикул|заказ|модель)\b"
    r"|型号|型番|订单号?|注文|모델\w*|주문|品番|货号",
    re.IGNORECASE,
)

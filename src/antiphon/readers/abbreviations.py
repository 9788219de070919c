"""Abbreviations whose full stop does not end a sentence, by language, in the tradition of the nonbreaking prefixes of Moses (Koehn et al.
2007); without the stop, and spelled as within a sentence."""

BEFORE_NAMES: dict[str, str] = {
    "": "Mr Mrs Ms Dr Prof St Sr Jr vs etc No Nr N° Fig Vol Inc Ltd Co Corp e.g i.e cf al ca",
    "en": "Messrs Mmes Rev Hon Gen Col Lt Sgt Capt Cpl Maj Adm Gov Sen Rep Pres Supt Dept Univ Assn Bros Est Ave Blvd Rd Mt Ft Jan Feb Mar "
    "Apr Jun Jul Aug Sep Sept Oct Nov Dec approx eds pp p ch sec art resp viz p.m a.m",
    "de": "bzw bspw ca d.h z.B u.a u.U o.ä o.Ä s.o s.u v.a usw evtl ggf inkl exkl zzgl zw Str Abs Abb Abt Art Aufl Bd Bde Bsp Dipl Fa Fr "
    "Frl Hr Hrn Hrsg Ing Jh Kap Mio Mrd Nr Tel Tab Vgl vgl sog geb gest lt max min mind allg ehem einschl engl frz lat österr jährl "
    "monatl S St u z i d",
    "fr": "M MM Mme Mlle Mlles Mgr Me Dr Pr p.ex c.-à-d env av apr art chap éd fig vol t p pp cf janv févr avr juil sept oct nov déc",
    "es": "Sr Sra Srta Sres Sras D Dña Dr Dra Ud Uds Vd Vds p.ej pág págs núm art cap ed vol Av Avda tel aprox EE UU S.A",
    "it": "sig sigg sig.ra dott dott.ssa prof prof.ssa avv ing arch on art pag pagg cap es p.es ecc vol fig ed Sig Dott Avv Ing",
    "pt": "Sr Sra Srta Sres Dr Dra Prof Profa Exmo Exma art cap pág págs p.ex núm n.º vol ed Av tel aprox",
    "nl": "dhr mevr mw drs ir mr prof bijv bv enz evt incl excl m.b.t o.a d.w.z t.a.v z.g blz nr nrs art afb vgl resp ca min max",
    "sv": "bl.a d.v.s dvs e.d ev etc f.d fr.o.m m.fl m.m o.d osv p.g.a s.k t.ex t.o.m ca kl nr resp tel",
    "da": "bl.a d.v.s dvs etc f.eks ca kl nr osv m.fl m.m pga s tlf evt inkl ekskl hhv",
    "nb": "bl.a d.v.s dvs etc f.eks ca kl nr osv m.fl m.m pga s tlf evt inkl ekskl hhv",
    "fi": "esim ks mm nk ns ym yms jne n puh s tms tri virk v mrd milj",
    "pl": "m.in np tj tzn tzw itd itp dr hab mgr inż prof ul al pl św im ok godz str zob por r w pt ww mln mld tys nr poz art ust red",
    "cs": "např tj tzn tzv atd apod mj resp popř str obr tab č čl odst ul nám sv mil mld tis Ing Mgr Bc MUDr JUDr PhDr doc prof r",
    "sk": "napr t.j tzn tzv atď apod resp popr str obr tab č čl odst ul nám sv mil mld tis Ing Mgr Bc MUDr JUDr doc prof r",
    "hu": "pl kb ill ún stb dr özv ifj id prof u o old sz tel vö ld",
    "ro": "dl dna dvs nr pag art ex etc str bd fig vol mil mld",
    "ru": "т.е т.к т.н т.д т.п и.о г гг в вв с стр рис табл гл ст п пп др пр им ул д кв корп обл р млн млрд тыс руб коп см ср напр проф "
    "акад доц чел мин сек",
    "uk": "т.д т.п т.зв тобто р рр ст с стор рис табл гл п пп ін ім вул буд кв обл млн млрд тис грн див напр проф акад доц",
    "el": "κ κα κ.λπ κ.ά π.χ δηλ αρ σελ βλ κεφ τηλ εκ",
    "tr": "vb vs örn bkz Dr Prof Doç Av Sn Sok Cad Mah No yy s sf",
    "id": "dll dsb dst yth hlm no tgl jl Bpk Sdr",
    "vi": "TS ThS GS PGS TP tr v.v",
    "ca": "Sr Sra Srta Dr Dra p.ex pàg núm art cap vol av",
}
"""Those behind whose stop a sentence goes on, as words parted by spaces; under "" what most languages share."""

_ENDINGS = (
    "etc usw osv enz ecc itd itp atd atď apod jne ym yms stb dll dsb v.v т.д т.п др пр ін κ.λπ κ.ά vb m.m m.fl Inc Ltd Co Corp Jr Sr co"
)
ENDINGS = frozenset(_ENDINGS.split())
"""Those that often stand at the end of a sentence, so that a capital letter behind them begins one."""

_ORDINALS = "de da nb nn no fi cs sk sl hr sr bs pl hu et lv lt is tr"
ORDINALS = frozenset(_ORDINALS.split())
"""Languages that write ordinal numbers with a full stop: am 3. Oktober."""

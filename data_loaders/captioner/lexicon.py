"""The words by which sentences tell motion: verbs and what shows them, angles, counts, directions and paces.

Patterns are of lower-case text. Verbs of going are those of Levin, "English Verb Classes and Alternations" (1993),
class 51.3.2, as far as they tell how fast somebody goes or which way.
"""

import math

_TURN = {"turn": 1.0, "walk": 1.0, "run": 1.0}
# Other ways to say what the verbs below say, and how it is read.
IDIOMS: tuple[tuple[str, str], ...] = (
    # What is not done: "without turning round", "but never breaking into a run".
    (r"\b(but )?(without|never|not|instead of|rather than|(does|do|is|are|did)n't) [a-z' ]*", ""),
    (r"^after (.*?) ,", r"\1 then"),
    (r"\b(do|mak|perform|complet|execut|tak|trac)(e|es|s|ing)? (an?|one|the) ([a-z -]*?)(circle|laps?|loop)\b",
     r"walks a \4circle"),
    (r"\blaps?\b|\bloops?\b", "circle"),
    (r"\bcircl(es|ing) (?=the|an?|around|round|his|her)", "walks in a circle round "),
    (r"\b(an? )?(about-face|u-turn|half-turn)\b", "turns around"),
    (r"\b360( degrees)?\b", "full turn 360"),
    (r"\b(full|complete|whole|one|single)\b( [a-z-]+)? (rotation|revolution|pirouette|twirl|spin)\b", r"full turn\2"),
    (r"\b(lower|drop|sink|settl|plop|slump|flop)(e|s|es|ing|ping)?\b[a-z ]{0,20}\b(on|onto|into|in) "
     r"(an?|the|his|her|their) [a-z ]{0,12}(seat|bench|sofa|couch|stool|(arm)?chair)", "sits down"),
    (r"\bseats? (himself|herself|themselves)", "sits down"),
    (r"\b(mov|go|walk|creep|travel)(e|es|s|ing)?\b( [a-z]+)? on ((his|her|their) )?(all fours|hands and knees)",
     "crawls"),
    (r"\b(drop|sink|fall|go|get|com)(s|es|e|ping|ing|ting)?( down)? (on|to|onto) "
     r"(one|his|her|their|an?|the|both) knees?",
     "kneels down"),
    (r"\b(good ?)?bye(-bye)?\b|\bgreet(s|ing)?\b|\bsays? h(i|ello)\b", "waves"),
    (r"\b(throw|stretch|stick|thrust|fling|bring|shoot)(s|es|ing)?\b([a-z ]{0,30})\b(up\b|in(to)? the (air|sky)"
     r"|overhead|above|high)", r"raises \3"),
    (r"\bin (a|great) (hurry|rush|haste)\b", "quickly"),
    (r"\bboots? (the|an?|something|it)\b", "kicks"),
    (r"\bgets? off the (chair|bench|seat|floor|ground|sofa|bed|stool)", "gets up"),
    (r"\b(com|go)(es|e) to a (stop|halt|standstill)", "stops"),
    (r"\b(break|burst)(s|ing)? into an? (run|jog|sprint|trot|gallop|walk)", r"\3s"),
)  # fmt: skip
# Verbs, and the phases that show them; what is worth less than 1 is near to it. Of rows that match in one place the
# first counts.
VERBS: tuple[tuple[str, dict[str, float]], ...] = (
    (r"(stand|get|got|rise)(s|ting|ing)? (back |right )?(up|again)|(get|com)(s|es|e|ting|ing)?( back)? (to|on|onto) "
     r"(his|her|their|its) (feet|legs)|(a?ris)(e|es|ing)|stands? from|straighten(s|ing)?( back)? up", {"rise": 1}),
    (r"s[ia]t(s|ting)?( back)? down|(tak|hav)(e|es|ing) a seat|sits?", {"sit down": 1, "sit": 0.4}),
    (r"sitting|seated", {"sit": 1, "sit down": 0.7}),
    (r"lying|laying", {"lie": 1, "lie down": 0.7}),
    (r"(lie|lies|lay|lays) (back )?(down|on|flat)|stretch(es)? out on", {"lie down": 1, "lie": 0.6}),
    (r"kneel(s|ing)?", {"kneel down": 1, "kneel": 0.6}),
    (r"(crouch|squat|duck|stoop|hunker)(s|es|ing|ting)?", {"crouch down": 1, "crouch": 0.6}),
    (r"crawl(s|ing)?|on all fours|on hands and knees", {"crawl": 1}),
    (r"(stop|halt|wait|freez)(e|es|s|ing|ping)?|paus(e|es|ing)|(stand|stay|remain)(s|ing)?( still)?"
     r"(?! (seated|sitting|lying|kneeling|crouched|down))", {"stand": 1}),
    (r"(jump|hop|leap|bounc|bound|vault)(s|e|es|ed|ing|ping)?", {"jump": 1}),
    (r"(turn|spin|pivot|whirl|swivel|wheel)(s|ing|ning)?|(rotat|twirl|revolv|pirouett)(e|s|es|ing)?", _TURN),
    (r"(run|jog|sprint|dash|trot|gallop|bolt|charg|lop|chas|fle)(s|e|es|ning|ging|ting|ing|eing)?|rac(e|es|ing)",
     {"run": 1, "walk": 0.3}),
    (r"hurr(y|ies|ying)|(rush|hasten|scurr|scuttl)(s|e|es|ies|ing|ying)?", {"walk": 1, "run": 1}),
    (r"(walk|stroll|step|march|wander|sidestep|limp|sneak|stagger|plod|saunter|strut|swagger|trek|hik|parad|prowl|tread"
     r"|retreat|withdraw|advanc|proceed|creep|stalk|lurch|totter|stumbl|backpedal|approach|head|travel)"
     r"(s|e|es|ing|ping|ding)?|(strid|mov|shuffl|straf|tiptoe|ambl|trudg|waddl|hobbl|dawdl|revers|cross|leav)"
     r"(e|es|s|ing)|go(es|ing)?|com(es|ing)|pac(es|ing)|back(s|ing)? (up|away|off|out)", {"walk": 1, "run": 0.3}),
    (r"wav(e|es|ing)", {"wave": 1, "hold arm up": 0.3, "raise arm": 0.3}),
    (r"rais(e|es|ed|ing)|lift(s|ed|ing)?|(put|hold|reach)(s|es|ing|ting)?\b[a-z ]{0,30}\bup",
     {"raise arm": 1, "hold arm up": 0.7, "wave": 0.3}),
    (r"lower(s|ing)?|puts?\b[a-z ]{0,30}\bdown", {"lower arm": 1}),
    (r"punch(es|ing)?|box(es|ing)|jab(s|bing)?|strik(e|es|ing)|hit(s|ting)?", {"punch": 1}),
    (r"kick(s|ing)?", {"kick": 1}),
    (r"bow(s|ing)?", {"bow": 1}),
)  # fmt: skip
JOINTS = r"\b(?:and then|then|before|followed by|until|finally|after ?wards?|and|while|as|with)\b|[.;,]"

NUMBERS = {word: number for number, word in enumerate("no one two three four five six seven eight nine ten".split())}
COUNTED = (
    rf"\b(?P<number>\d+|single|{'|'.join(NUMBERS)}"
    r"|an?(?=( single| small| big)? (step|jump|hop|kick|wave|punch)\b))( [a-z]+)? "
    r"(?P<what>times|steps?|paces|strides|jumps?|hops?|kicks?|waves?|punch(?:es)?)\b"
)
STEPS = ("step", "pace", "stride")  # what is counted of a walk
ADVERBS = {"once": 1, "a single time": 1, "one time": 1, "twice": 2, "thrice": 3}
ANGLES = (
    (r"360|full|complete|all the way|whole", 2 * math.pi),
    (r"270|three[- ]quarter", 1.5 * math.pi),
    (r"180|half|other way|opposite way|behind", math.pi),
    (r"135", 0.75 * math.pi),
    (r"90|quarter|right angle|square", 0.5 * math.pi),
    (r"45|slight", 0.25 * math.pi),
    (r"(turn|spin|whirl|wheel|pivot|swivel)(s|ing|ning)? (around|round|about)", math.pi),
)
ROUND = r"circle|circular|\bcircl"
CIRCLES = ((r"half|semi", 0.5), (r"three[- ]quarter", 0.75), (r"quarter", 0.25), (ROUND, 1.0))
CURVED = r"curv|\barc\b|veer|bend|corner|\bbear"
AROUND = r"counter-?clockwise|anti-?clockwise|clockwise"

BACKWARD = (r"\b(backwards?|rearwards?)\b|in reverse|\bback(s|ing)? (up|away|off|out)"
            r"|\b(step|walk|go|mov)(e|es|s|ping|ing)? back\b|\b(retreat|withdr[ae]w|backpedal|revers)")  # fmt: skip
FORWARD = r"(?<!facing )(?<!looking )\bforwards?\b|\bahead\b|straight|\badvanc"
SIDEWAYS = r"sideways|sidestep|straf|side to side"
UPWARD = r"\bup\b|in place|on the spot"  # of a jump

SLOW = (r"\bslow(ly|er)?\b|unhurried|leisure|gradual|little by little|bit by bit|long time|cautious|careful"
        r"|\bgent(le|ly)\b|\beasy\b|snail|\b(his|her|its|their) (own )?time\b"
        r"|\b(ambl|saunter|stroll|plod|trudg|shuffl|dawdl|creep|totter|hobbl|jog|trot)|\blop(e|es|ing)\b")  # fmt: skip
QUICK = (r"quick|\bfast|brisk|rapid|hurr(y|ied|ies)|(top|full) speed|flat out|in a (flash|rush)|sudden|abrupt"
         r"|\b(sprint|dash|bolt|rush|hasten|scurr|gallop|chas|whirl)|\brac(e|es|ing)\b")  # fmt: skip

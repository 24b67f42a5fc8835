// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
// What changes the look of other characters, or has none, the blank of Braille among them; and blanks, but for single ones
// between words.
const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u2800]|(?! )\p{Zs}|^ | (?= *$)|(?<= ) /gu;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const count = (value) => whole.format(value);

/** "12,345", or "1.2M" where there is little room. */
export const short = (value) => (value < 100_000 ? whole.format(value) : compact.format(value));

export const perSecond = (value) => (value < 10 ? tenths.format(value) : short(Math.round(value)));

export function bytes(value) {
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${(rest < 10 && unit > 0 ? tenths : whole).format(rest < 10 ? rest : Math.round(rest))} ${UNITS[unit]}`;
}

/** A name that a client has thought up: two names that differ only in invisible characters look different. Letters of
 * two scripts may look alike. */
export const visible = (name) =>
  (name ?? "").replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);

export const frames = (value) => `${count(value)} ${value === 1 ? "frame" : "frames"}`;

/** How often, for how long and by which limit a client was slowed down. */
export const slowed = ({ times, ms, scope, limit }) =>
  `${count(times)} ${times === 1 ? "time" : "times"}, ${tenths.format(ms / 1000)} s, by the limit on ${limit} of the ${scope}`;

/** The two largest units: "3 d 4 h", "5 min 3 s". */
export function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return "0 s";
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** How long ago a moment was. Clocks of nodes may be ahead of this one. */
export const ago = (epoch) => duration(Date.now() / 1000 - epoch);

/** The moment in the time of this machine, with the date unless that is today. */
export function moment(epoch) {
  const date = new Date(epoch * 1000);
  const time = date.toLocaleTimeString("en-GB");
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

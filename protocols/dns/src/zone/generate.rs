//! `$GENERATE`: many entries from one line, as BIND has it.
//!
//! Responsible for the range and for what `$` becomes. Not for the entries: [`super::master_file`] reads them as if they
//! stood there.
//!
//! `$` is the number; `${OFFSET}`, `${OFFSET,WIDTH}` and `${OFFSET,WIDTH,BASE}` change how it is written, with the base
//! `d`, `o`, `x`, `X`, or `n` and `N` for nibbles in reverse, as in `ip6.arpa`. `$$` and `\$` are a dollar.

/// How many entries one line may make.
const MAXIMUM_ENTRIES: u32 = 65_536;
/// How wide a number may be written.
const MAXIMUM_WIDTH: usize = 255;

/// `START-STOP` or `START-STOP/STEP`: the numbers meant.
pub(crate) fn range(text: &[u8]) -> Result<impl Iterator<Item = u32> + use<>, String> {
    let usage = || "a range is written START-STOP or START-STOP/STEP".to_owned();
    let text = std::str::from_utf8(text).map_err(|_| usage())?;
    let (numbers, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = numbers.split_once('-').ok_or_else(usage)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| usage());
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    if step == 0 || start > stop {
        return Err("a range goes upwards".to_owned());
    }
    if (stop - start) / step >= MAXIMUM_ENTRIES {
        return Err(format!("a range has at most {MAXIMUM_ENTRIES} numbers"));
    }
    let steps = usize::try_from(step).map_err(|_| usage())?;
    Ok((start..=stop).step_by(steps))
}

/// A word with the number in it.
pub(crate) fn substitute(text: &[u8], number: u32) -> Result<Vec<u8>, String> {
    let mut result = Vec::with_capacity(text.len() + 8);
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Ok(result),
            [b'\\', b'$', after @ ..] | [b'$', b'$', after @ ..] => {
                result.extend(b"\\$");
                after
            }
            [b'\\', escaped, after @ ..] => {
                result.extend([b'\\', *escaped]);
                after
            }
            [b'$', b'{', after @ ..] => {
                let end = after.iter().position(|octet| *octet == b'}').ok_or("a ${ is not closed")?;
                let (modifiers, after) = after.split_at(end);
                result.extend(modified(modifiers, number)?.bytes());
                after.get(1..).unwrap_or_default()
            }
            [b'$', after @ ..] => {
                result.extend(number.to_string().bytes());
                after
            }
            [octet, after @ ..] => {
                result.push(*octet);
                after
            }
        };
    }
}

fn modified(modifiers: &[u8], number: u32) -> Result<String, String> {
    let usage = || "a number is written ${OFFSET}, ${OFFSET,WIDTH} or ${OFFSET,WIDTH,BASE}".to_owned();
    let text = std::str::from_utf8(modifiers).map_err(|_| usage())?;
    let mut parts = text.split(',');
    let offset: i64 = parts.next().unwrap_or("0").parse().map_err(|_| usage())?;
    let width: usize = parts.next().unwrap_or("0").parse().map_err(|_| usage())?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() || width > MAXIMUM_WIDTH {
        return Err(usage());
    }
    let value = i64::from(number).checked_add(offset).and_then(|value| u64::try_from(value).ok());
    let value = value.ok_or("the number is below 0")?;
    match base {
        "d" => Ok(format!("{value:0width$}")),
        "o" => Ok(format!("{value:0width$o}")),
        "x" => Ok(format!("{value:0width$x}")),
        "X" => Ok(format!("{value:0width$X}")),
        "n" => Ok(nibbles(value, width)),
        "N" => Ok(nibbles(value, width).to_ascii_uppercase()),
        _ => Err("a base is one of d, o, x, X, n and N".to_owned()),
    }
}

/// The number's digits of base 16, the lowest first, with dots between them; the dots count for the width.
fn nibbles(mut value: u64, width: usize) -> String {
    let mut text = String::new();
    loop {
        text.push_str(&format!("{:x}", value & 0xf));
        value >>= 4;
        if value == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, number: u32) -> Result<String, String> {
        substitute(text.as_bytes(), number).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn ranges() {
        let numbers = |text: &str| range(text.as_bytes()).map(Iterator::collect::<Vec<_>>);
        assert_eq!(numbers("1-3").unwrap(), [1, 2, 3]);
        assert_eq!(numbers("0-10/5").unwrap(), [0, 5, 10]);
        assert_eq!(numbers("0-65535").unwrap().len(), 65_536);
        for wrong in ["", "1", "3-1", "1-", "-1-3", "1-3/0", "0-65536", "1-3/x", "0-4294967295"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn substitution() {
        assert_eq!(word("host-$", 7).unwrap(), "host-7");
        assert_eq!(word("${-2,3}.${0,2,x}.$", 26).unwrap(), "024.1a.26");
        assert_eq!(word("${0,7,n}", 0xab).unwrap(), "b.a.0.0");
        assert_eq!(word("${0,0,N}", 0xab).unwrap(), "B.A");
        assert_eq!(word("a$$\\$\\065", 1).unwrap(), "a\\$\\$\\065");
        for wrong in ["${", "${x}", "${0,1,q}", "${0,256}", "${-2}", "${0,1,d,e}"] {
            assert!(word(wrong, 1).is_err(), "{wrong}");
        }
    }
}

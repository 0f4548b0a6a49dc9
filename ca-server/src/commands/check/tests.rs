use super::line_of;

const TEXT: &str = "audience = \"a\"\n[listen]\naddress = \"b\"\n\n[store]\n[[issuer]]\nname = \"n\"\nurl = \"u\"\n";

#[test]
fn a_finding_names_the_line_of_its_setting_or_its_section() {
    let rows = [
        ("", "audience", 1),
        ("listen", "address", 3),
        ("listen", "ops", 2),
        ("store", "path", 5),
        ("issuer", "url", 8),
        ("keys", "user_ca", 1),
    ];
    for (section, key, line) in rows {
        assert_eq!(line_of(TEXT, section, key), line, "[{section}] {key}");
    }
}

# tests/c_code.awk - C source with comments and the contents of strings blanked, line for line: for
# rules that mean code and not what is said about it. Prints "FILE:LINE:code".
FNR == 1 { comment = 0 }
{
	quote = ""
	out = ""
	n = length($0)
	for (i = 1; i <= n; i++) {
		c = substr($0, i, 1)
		two = substr($0, i, 2)
		if (comment) {
			if (two == "*/") { comment = 0; i++ }
		} else if (quote != "") {
			if (c == "\\") i++
			else if (c == quote) { quote = ""; out = out c }
		} else if (two == "/*") {
			comment = 1; i++; out = out " "
		} else if (two == "//") {
			break
		} else if (c == "\"" && $0 ~ /^[ \t]*#[ \t]*include/) {
			out = out c
		} else if (c == "\"" || c == "'") {
			quote = c; out = out c
		} else {
			out = out c
		}
	}
	print FILENAME ":" FNR ":" out
}

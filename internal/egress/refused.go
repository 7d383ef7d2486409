package egress

import (
	"net/netip"
	"strings"
	"unicode"
)

// Refused is the error of an address that was not asked: it is not public, or no plain web address (see [CheckURL]). Nothing was
// sent to it. Its text names the host, never the path or the query, since signed links open what they lead to.
type Refused struct {
	Host   string // as it was given, without the port; empty when there is none that can be shown
	Reason string // the rest of a sentence that begins with the host, or all of it
}

// Error is one sentence.
func (r *Refused) Error() string {
	if r.Host == "" {
		return r.Reason
	}
	return shown(r.Host) + " " + r.Reason
}

// shown is a host as it may stand in a text that people and models read.
func shown(host string) string {
	host = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, host)
	if len(host) > maxName {
		host = strings.ToValidUTF8(host[:maxName], "") + "…"
	}
	return host
}

func refuse(host string, addr netip.Addr) error {
	verb := "is "
	if _, err := netip.ParseAddr(host); err != nil {
		verb = "leads to "
	}
	return &Refused{host, verb + kind(addr) + ": only public addresses are reached"}
}

// platformV4 is where Azure keeps its machines' own services, on an address that looks public
// (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
func platformV4() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{168, 63, 129, 16}), 32)
}

// kind says what an address is that is not public. The first range that fits counts. Ranges are those of
// https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry.
func kind(addr netip.Addr) string {
	const (
		metadata   = "a cloud's own metadata address"
		translated = "an IPv4 address that is written or translated as IPv6"
		documented = "an address for documentation"
	)
	addr = addr.WithZone("")
	for _, r := range []struct{ prefix, kind string }{
		{"169.254.169.254/32", metadata}, {"169.254.170.2/32", metadata}, {"100.100.100.200/32", metadata}, {"192.0.0.192/32", metadata},
		{platformV4().String(), metadata}, {"fd00:ec2::254/128", metadata}, {"fd20:ce::254/128", metadata},
		{"127.0.0.0/8", "a loopback address"}, {"::1/128", "a loopback address"},
		{"10.0.0.0/8", "a private address"}, {"172.16.0.0/12", "a private address"}, {"192.168.0.0/16", "a private address"},
		{"fc00::/7", "a private address"}, {"fec0::/10", "a private address"},
		{"169.254.0.0/16", "a link-local address"}, {"fe80::/10", "a link-local address"},
		{"100.64.0.0/10", "an address of a carrier's own network"},
		{"0.0.0.0/8", "an address of this machine"}, {"::/128", "an address of this machine"},
		{"255.255.255.255/32", "a broadcast address"}, {"224.0.0.0/4", "a multicast address"}, {"ff00::/8", "a multicast address"},
		{"192.0.2.0/24", documented}, {"198.51.100.0/24", documented}, {"203.0.113.0/24", documented},
		{"2001:db8::/32", documented}, {"3fff::/20", documented}, {"198.18.0.0/15", "an address for measuring networks"},
		{"::/96", translated}, {"64:ff9b::/96", translated}, {"64:ff9b:1::/48", translated}, {"2001::/32", translated}, {"2002::/16", translated},
	} {
		if netip.MustParsePrefix(r.prefix).Contains(addr) {
			return r.kind
		}
	}
	if addr.Is4In6() { // which no prefix contains
		return translated
	}
	return "a reserved address"
}

"""How regularly beats arrive at this host's interface: gaps by the kernel's own time stamps, so that a busy processor here does not count.

usage (in the host's network namespace): beats.py INTERFACE PORT SECONDS [all]     prints {"count", "p50_ms", "p99_ms", "max_ms"}; all: and
                                                                                   {"gaps": [...]} in milliseconds
"""
import json
import socket
import struct
import sys
import time

SO_TIMESTAMPNS, PACKET_OUTGOING, UDP = 35, 4, 17


def main():
    interface, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    s.bind((interface, 0x0800))
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.settimeout(1)
    stamps, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            packet, control, _, sender = s.recvmsg(2048, 128)
        except socket.timeout:
            continue
        head = (packet[0] & 15) * 4
        if sender[2] == PACKET_OUTGOING or packet[9] != UDP or struct.unpack('>H', packet[head + 2:head + 4])[0] != port:
            continue
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                sec, nsec = struct.unpack('ll', data[:16])
                stamps.append(sec * 1000 + nsec / 1e6)
    gaps = sorted(b - a for a, b in zip(stamps, stamps[1:]))
    row = {'count': len(gaps), 'p50_ms': gaps[len(gaps) // 2], 'p99_ms': gaps[len(gaps) * 99 // 100], 'max_ms': gaps[-1]}
    if sys.argv[4:] == ['all']:
        row['gaps'] = [round(g, 3) for g in gaps]
    print(json.dumps(row))


main()

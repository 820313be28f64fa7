#!/usr/bin/env perl
# Writes unicode13.inc: the ranges of code points that Python 3.10 (Unicode 13) takes for
# alphanumeric, cased and case-ignorable. Run by hand with a perl of Unicode 13 or newer:
#   perl generate_unicode13.pl > unicode13.inc
use strict;
use warnings;

sub table {
  my ($name, $comment, $matches) = @_;
  my @ranges;
  for my $cp (0 .. 0x10FFFF) {
    next if $cp >= 0xD800 && $cp <= 0xDFFF;
    my $char = chr $cp;
    next unless $char =~ /\p{Present_In=13.0}/ && $char =~ $matches;
    if (@ranges && $ranges[-1][1] == $cp - 1) { $ranges[-1][1] = $cp; }
    else { push @ranges, [$cp, $cp]; }
  }
  print "// $comment\nconstexpr Range ${name}[] = {\n";
  while (my @row = splice @ranges, 0, 5) {
    print '    ', join(' ', map { sprintf '{0x%x, 0x%x},', @$_ } @row), "\n";
  }
  print "};\n\n";
}

print "// Written by generate_unicode13.pl; not to be edited.\n\n";
table('kAlphanumeric', 'General category L*, or a numeric type.', qr/\p{L}|\P{Numeric_Type=None}/);
table('kCased', 'Derived property Cased.', qr/\p{Cased}/);
# U+1734 was a nonspacing mark until Unicode 14 made it a spacing one, which is not ignorable.
table('kCaseIgnorable', 'Derived property Case_Ignorable.', qr/\p{Case_Ignorable}|\x{1734}/);

"""A made-up Acclaim skeleton of one bone."""

ASF = """:units
 length 0.45
 angle deg
:root
 order TX TY TZ RX RY RZ
 axis XYZ
:bonedata
 begin
  name femur
  direction 0 -1 0
  length 4.5
  axis 0 0 20 XYZ
  dof rx rz
 end
:hierarchy
 begin
  root femur
 end
"""

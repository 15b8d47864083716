"""What the captioner takes for what: one table of thresholds, with units and where each comes from.

Lengths in metres, speeds in metres a second are those of an adult of `LEG` metres from hip to ankle, and scale with the
body (`measures.Body.size`); angles are degrees, times seconds. A pair is (begins, ends): a state begins above the first
and lasts until below the second. Where a row names no source, it was read off motion capture seen by eye.
"""

LEG = 0.82  # thigh and shin of SMPL's mean person
TRUNK = 0.51  # pelvis to neck of the same
FOOT = (0.04, 0.14)  # height of the ankle of a foot that stands, least and greatest

# Smoothing, standard deviation of a Gaussian.
SMOOTH = 0.05  # of every joint: what a generated motion trembles is faster
SMOOTH_PATH = 0.2  # of the root's path and the heading: about half a step, so that a body's sway with each step goes

# Locomotion.
MOVING = (0.3, 0.2)  # speed of the root
MOVE_SECONDS = 0.4  # a move that is shorter is a shift of weight
MOVE_LENGTH = 0.25  # and so is one that goes no further
PAUSE_SECONDS = 0.4  # a stop within a walk that is shorter is none
FROUDE = 0.5  # v^2 / (g leg) above which people run (Alexander 1989)
RUN_KNEE = 74  # degrees that the more bent knee comes to in a run, 90th percentile; walks come to 65
RUN_FLIGHT = 0.03  # share of frames of a run with both toes in the air
RUN_SPEED = 1.0  # below which a move is no run even so
FLIGHT = 0.035  # height of the lower toe above the floor
STEP_LENGTH = 0.12  # that one foot gains on the other
SECTOR = 55  # degrees from ahead up to which a walk goes forward, or from behind backward
DIRECTION_SECONDS = 0.6  # a change of direction that is shorter is none
CIRCLE = 120  # degrees that path and heading turn at least
CIRCLE_EVEN = 0.15  # greatest deviation of the turning from an even one, as a share of it
TURN_RATE = (35, 15)  # degrees a second, of the heading
TURN = 30  # degrees
TURN_SECONDS = 0.25

# Posture. Heights are shares of the height of the hips when the person stands upright.
LOW = (0.80, 0.86)  # height of the hips below which a person no longer stands (begins below, ends above)
FALL_SPEED = 0.12  # of hips that go down or up, shares a second
SIT_BEHIND = 0.2  # metres that hips are behind the ankles on a chair, whose feet do not carry the trunk
FLOOR_SEAT = 0.32  # height of hips that sit on the floor or lie
KNEE = 0.16  # metres above the floor that a knee that kneels has at most
FLAT = 0.5  # cosine of the trunk against the vertical below which it lies
HAND = 0.25  # metres above the floor that a hand that carries has at most
POSTURE_SECONDS = 0.3

# Arms. Heights of the wrist above the shoulder are shares of the length of the arm.
ARM_UP = -0.12
ARM_UP_GOING = 0.05  # walking and running swing hands and elbows up to here
ARM_SINKS = 0.25  # an arm that was up is so until it is lower than that by this much
ARM_RISE = 0.35  # height that a raise or a lowering gains at least
ARM_SPEED = 0.25  # shares a second below which an arm rests
ARM_OVERHEAD = 0.55
ARM_HELD = 0.8  # seconds
ARM_SIDE = 45  # degrees from ahead from which an arm is at the side
TOGETHER = 0.4  # seconds that both arms start or end apart at most, for one phase of both
WAVE_SWING = 0.06  # metres that a hand that waves goes to and fro at least
WAVE_PERIOD = (0.15, 1.2)  # seconds of a full cycle, shortest and longest
WAVE_CYCLES = 1.5
PUNCH_SPEED = 2.2  # metres a second of a wrist away from its shoulder
PUNCH_REACH = 0.75  # share of the arm's length at the end
PUNCH_GAIN = 0.25  # share of the arm's length that is gained
PUNCH_LEVEL = 0.5  # greatest height of the wrist above or below the shoulder, share of the arm

# Legs.
ANKLE = 0.05  # height of an ankle above its toe when the foot stands flat
JUMP_CLEARANCE = 0.06  # height of both feet above the floor
JUMP_SECONDS = (0.14, 1.2)  # in the air, shortest and longest
JUMP_HIPS = 0.9  # height of the hips that a jump reaches
JUMP_FALL = 4.0  # m/s^2, the mean fall of the root; free fall is 9.81, less after smoothing and by moving limbs
STRIDE = 0.08  # height of the other foot at an end of a flight that goes from one foot to the other
APART = 0.3  # distance over the floor between the ankles in such a flight
LEAP = 0.25  # clearance that makes a jump of a stride
JUMP_MARGIN = 0.2  # seconds of swinging off and landing that belong to a jump
JUMP_CROUCH = 0.5  # the same where the hips are low
JUMP_LENGTH = 0.3  # below which a jump goes up
HOP_PAUSE = 0.8  # seconds between jumps of one series
KICK_SPEED = 2.5  # metres a second of an ankle against the pelvis, more than the pelvis' own
KICK_HEIGHT = 0.25  # of the ankle
KICK_REACH = 0.35  # metres of the ankle from the hip along the floor

# Bow.
BOW = (35, 20)  # degrees that the trunk leans forward
BOW_HIPS = 0.82  # height that the hips keep
BOW_SECONDS = (0.5, 7.0)

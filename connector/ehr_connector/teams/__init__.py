"""Teams meetings of visits: held through Microsoft Graph, checked beforehand, and listened to while they go on."""

-- Small things about text that becomes Markdown. Pure.

local M = {}

--- The lines of a text, whatever ends them.
---@param text string
---@return string[]
function M.lines(text)
  return vim.split((text:gsub('\r\n', '\n')), '\n', { plain = true })
end

--- The lines of a text that goes on: without what is empty before it.
---@param text string
---@return string[]
function M.begun(text)
  return M.lines((text:gsub('^[\r\n]+', '')))
end

--- The lines of a text without what is empty before and behind it; always one line at least.
---@param text string
---@return string[]
function M.trimmed(text)
  return M.lines((text:gsub('^[\r\n]+', ''):gsub('%s+$', '')))
end

--- A line of more bytes than this is broken at the next space: drawing and parsing one takes as
--- long as it is, at each piece that is added to it.
M.MAX_LINE_BYTES = 1000

--- A piece of text that is added behind so many bytes of a line, broken where the line gets too
--- long; in whatever pieces a text comes, it is broken at the same places.
---@param text string
---@param column integer
---@return string text, integer column of its end
function M.continued(text, column)
  local parts, at = {}, 1
  while true do
    local stop = text:find('\n', at, true)
    local length = column + (stop or #text + 1) - at
    local space = length > M.MAX_LINE_BYTES
      and text:find(' ', at + math.max(0, M.MAX_LINE_BYTES - column), true)
    if space and space < (stop or #text + 1) then
      table.insert(parts, text:sub(at, space - 1))
      at, column = space + 1, 0
    elseif stop then
      table.insert(parts, text:sub(at, stop - 1))
      at, column = stop + 1, 0
    else
      table.insert(parts, text:sub(at))
      return table.concat(parts, '\n'), length
    end
  end
end

--- Lines, each as short as `continued` makes them.
---@param lines string[]
---@return string[]
function M.broken(lines)
  for _, line in ipairs(lines) do
    if #line > M.MAX_LINE_BYTES then
      return M.lines((M.continued(table.concat(lines, '\n'), 0)))
    end
  end
  return lines
end

--- A fence that no line of a code block can be taken for.
---@param lines string[]
---@return string
function M.fence(lines)
  local longest = 2
  for _, line in ipairs(lines) do
    local ticks = line:match('^%s*(`+)')
    longest = math.max(longest, ticks and #ticks or 0)
  end
  return ('`'):rep(longest + 1)
end

--- What has to follow a Markdown text so that the next one is not a part of its code block; nil if
--- nothing has to.
---@param text string
---@return string?
function M.open_fence(text)
  local open
  for line in vim.gsplit(text, '\n', { plain = true }) do
    local fence, info = line:match('^ ? ? ?(```+)([^`]*)$')
    if not fence then
      fence, info = line:match('^ ? ? ?(~~~+)(.*)$')
    end
    if fence and not open then
      open = fence
    elseif fence and fence:sub(1, 1) == open:sub(1, 1) and #fence >= #open then
      open = info:find('%S') and open or nil
    end
  end
  return open
end

--- A text as code within a line.
---@param text string
---@return string
function M.code(text)
  text = text:gsub('%s+', ' ')
  local longest = 0
  for ticks in text:gmatch('`+') do
    longest = math.max(longest, #ticks)
  end
  local fence = ('`'):rep(longest + 1)
  local space = (text:find('^`') or text:find('`$')) and ' ' or ''
  return fence .. space .. text .. space .. fence
end

--- A text that is not wider than so many columns.
---@param text string
---@param width integer
---@return string
function M.shortened(text, width)
  if vim.fn.strdisplaywidth(text) <= width then
    return text
  end
  local count = width - 1
  local short = vim.fn.strcharpart(text, 0, count)
  while count > 0 and vim.fn.strdisplaywidth(short) > width - 1 do
    count = count - 1
    short = vim.fn.strcharpart(text, 0, count)
  end
  return short .. '…'
end

--- A duration as a person says it.
---@param seconds number
---@return string
function M.duration(seconds)
  if seconds < 60 then
    return ('%.1f s'):format(seconds)
  end
  seconds = math.floor(seconds + 0.5)
  if seconds < 3600 then
    return ('%d min %d s'):format(math.floor(seconds / 60), seconds % 60)
  end
  return ('%d h %d min'):format(math.floor(seconds / 3600), math.floor(seconds % 3600 / 60))
end

--- A number with its noun.
---@param count integer
---@param noun string
---@return string
function M.counted(count, noun)
  return ('%d %s%s'):format(count, noun, count == 1 and '' or 's')
end

--- A path as it is shown: relative to a folder if it is in it.
---@param path string
---@param folder string?
---@return string
function M.path(path, folder)
  path = vim.fs.normalize(path)
  folder = folder and vim.fs.normalize(folder) or nil
  if folder and path == folder then
    return '.'
  elseif folder and vim.startswith(path, folder .. '/') then
    return path:sub(#folder + 2)
  end
  return vim.fn.fnamemodify(path, ':~')
end

--- Lines as a person counts them, of a range as in LSP: `3` or `3-7`.
---@param range table
---@return string
function M.range(range)
  local first, last = range.start.line, range['end'].line
  -- A range that ends before the first character of a line has nothing of that line.
  if range['end'].character == 0 and last > first then
    last = last - 1
  end
  return last == first and tostring(first + 1) or ('%d-%d'):format(first + 1, last + 1)
end

return M
